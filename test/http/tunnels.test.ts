import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, spyOn, test } from "bun:test";
import { garbage } from "../../src/host/garbage.ts";
import type { HttpServerOptions } from "../../src/http/server-options.ts";
import type { Line, Takeover, Tunnel } from "../../src/net/tunnel.ts";
import { until } from "../until.ts";
import { get, listen } from "./connected.ts";

/** A protocol of lines: each is sent back, until the test says otherwise. */
class Lines implements Tunnel {
  goesOn = false;
  readonly events: string[] = [];
  readonly expiredAt: number[] = [];
  readonly line: Line;
  /** Lines that are read in a turn. */
  turn = Infinity;
  said = "";

  constructor(line: Line) {
    this.line = line;
  }

  read(bytes: Buffer): number {
    let at = 0;
    this.goesOn = false;
    for (let lines = 0; ; lines++) {
      const end = bytes.indexOf(10, at);
      if (end < 0) return at;
      if (lines === this.turn) {
        this.goesOn = true;
        return at;
      }
      const text = bytes.toString("utf8", at, end);
      this.said += `${text},`;
      at = end + 1;
      if (text === "end") {
        this.line.end();
        return at;
      }
      const answer = Buffer.from(text.startsWith("big") ? "x".repeat(4_000_000) : `<${text}>`);
      this.line.send(answer, 0, answer.length);
      if (this.line.isFull) return at;
    }
  }

  progressed(): void {
    this.events.push("progressed");
  }

  starved(): void {
    this.events.push("starved");
  }

  expire(): void {
    this.events.push("expire");
    this.expiredAt.push(this.line.tick);
    this.line.wakeAfter(this.line.tick + 3);
  }

  stop(): void {
    this.line.send(Buffer.from("bye"), 0, 3);
    this.line.end();
  }

  closed(): void {
    this.events.push("closed");
  }
}

function serve(options: Partial<HttpServerOptions> = {}, refuse = false, later = false) {
  const tunnels: Lines[] = [];
  const takeover: Takeover = {
    response: Buffer.from("HTTP/1.1 101 -\r\n\r\n"),
    refusal: Buffer.from("HTTP/1.1 503 -\r\nContent-Length: 0\r\n\r\n"),
    address: new Uint8Array([192, 0, 2, 1]),
    family: 4,
    begin(line) {
      if (refuse) return undefined;
      const tunnel = new Lines(line);
      tunnels.push(tunnel);
      return tunnel;
    },
  };
  const served = listen(() => (later ? Promise.resolve(takeover) : takeover), options);
  return { ...served, tunnels, [Symbol.dispose]: () => served[Symbol.dispose]() };
}

/** A client that keeps what it receives, and reads only if the test lets it. */
function dial(port: number) {
  const socket = connect(port, "127.0.0.1");
  const got = { text: "", bytes: 0, closed: false };
  socket.on("data", (bytes) => {
    got.bytes += bytes.length;
    if (got.bytes < 10_000) got.text += bytes.toString();
  });
  socket.on("close", () => (got.closed = true));
  socket.on("error", () => {});
  return { socket, got };
}

/** A connection that was answered with 101. */
async function upgrade(port: number) {
  const dialled = dial(port);
  dialled.socket.write(get("/"));
  await until(() => dialled.got.text.includes("101"));
  return dialled;
}

describe("an upgraded connection", () => {
  test.each([false, true])(
    "is answered with 101, and its bytes, even early ones, go to the \
protocol (it is made later: %p)",
    async (later) => {
      using served = serve({}, false, later);
      const { socket, got } = dial(served.port);
      socket.write(`${get("/")}one\ntw`);
      await until(() => got.text.includes("<one>"));
      socket.write("o\nthree\n");
      await until(() => got.text.includes("<three>"));
      expect(got.text).toBe("HTTP/1.1 101 -\r\n\r\n<one><two><three>");
      socket.destroy();
      await until(() => served.tunnels[0]!.events.includes("closed"));
      expect(served.server.connections).toBe(0);
    },
  );

  test("has no functions of its own, nor the answer to its upgrade: it may be idle", async () => {
    using served = serve();
    const { socket, got } = dial(served.port);
    socket.write(`${get("/")}one\n`);
    await until(() => got.text.includes("<one>"));
    const own = Object.values(served.tunnels[0]!.line);
    expect(own.filter((each) => typeof each === "function" || each instanceof Buffer)).toEqual([]);
    socket.destroy();
  });

  test("takes turns, and keeps what is incomplete", async () => {
    using served = serve();
    const { socket, got } = dial(served.port);
    socket.write(`${get("/")}first\n`);
    await until(() => got.text.includes("<first>"));
    served.tunnels[0]!.turn = 2;
    socket.write("1\n2\n3\n4\n5\nres");
    await until(() => got.text.includes("<5>"));
    socket.write("t\n");
    await until(() => got.text.includes("<rest>"));
    expect(served.tunnels[0]!.said).toBe("first,1,2,3,4,5,rest,");
    socket.destroy();
  });

  test("is read no further while its client does not read, then goes on", async () => {
    using served = serve();
    const { socket } = await upgrade(served.port);
    socket.pause();
    socket.write("big\nnext\n");
    await until(() => served.tunnels[0]!.line.isFull);
    socket.write("later\n".repeat(50_000));
    await Bun.sleep(60);
    expect(served.tunnels[0]!.said).toBe("big,");
    socket.resume();
    await until(() => served.tunnels[0]!.said.length === 4 + 5 + 6 * 50_000);
    expect(served.tunnels[0]!.events).toContain("progressed");
    socket.destroy();
  });

  test("ends after what was sent", async () => {
    using served = serve();
    const { socket, got } = dial(served.port);
    socket.write(`${get("/")}one\nend\nnot this\n`);
    await until(() => got.text.includes("<one>"));
    socket.end();
    await until(() => got.closed);
    expect(served.tunnels[0]!.said).toBe("one,end,");
  });

  test("that ends sends all of it first, however slowly its client takes it", async () => {
    using served = serve();
    const { socket, got } = await upgrade(served.port);
    socket.pause();
    socket.write("big\n");
    const [tunnel] = served.tunnels;
    await until(() => tunnel!.line.isFull);
    tunnel!.line.end();
    socket.resume();
    await until(() => got.closed);
    expect(got.bytes).toBe("HTTP/1.1 101 -\r\n\r\n".length + 4_000_000);
  });

  test("ends when its client does", async () => {
    using served = serve();
    const { socket } = dial(served.port);
    socket.write(get("/"));
    await until(() => served.tunnels.length === 1);
    socket.end();
    await until(() => served.tunnels[0]!.events.includes("closed"));
  });

  test("is told of the tick it asked for, and has no other deadline", async () => {
    using served = serve({ tickMilliseconds: 2 });
    const { socket } = dial(served.port);
    socket.write(get("/"));
    await until(
      () => served.tunnels[0]?.events.filter((event) => event === "expire").length === 20,
    );
    expect(served.server.connections).toBe(1);
    socket.destroy();
  });

  test("is told of it in time even after its client has taken what was sent late", async () => {
    using served = serve({ tickMilliseconds: 5 });
    const { socket } = await upgrade(served.port);
    socket.pause();
    socket.write("big\n");
    const [tunnel] = served.tunnels;
    await until(() => tunnel!.line.isFull);
    socket.resume();
    await until(() => tunnel!.events.includes("progressed") && !tunnel!.line.isFull);
    const { length } = tunnel!.expiredAt;
    await until(() => tunnel!.expiredAt.length > length + 1);
    const gaps = tunnel!.expiredAt.map((tick, i, all) => tick - (all[i - 1] ?? tick));
    expect(Math.max(...gaps)).toBe(4);
    socket.destroy();
  });

  test("says goodbye when the server stops", async () => {
    using served = serve();
    const { socket, got } = await upgrade(served.port);
    const stopped = served.server.stop();
    await until(() => got.text.endsWith("bye"));
    socket.end();
    await stopped;
  });

  test("whose bytes are held is counted until it is gone", async () => {
    using served = serve();
    const { socket } = await upgrade(served.port);
    const { line } = served.tunnels[0]!;
    line.hold(5000);
    line.hold(-2000);
    socket.destroy();
    await until(() => served.tunnels[0]!.events.includes("closed"));
    expect(served.server.connections).toBe(0);
  });

  test("notes eight times its bytes as garbage: text, objects and text again", async () => {
    using served = serve();
    const { socket } = await upgrade(served.port);
    const before = garbage.noted;
    socket.write(`${"y".repeat(10_000)}\n`);
    await until(() => served.tunnels[0]!.said !== "");
    expect(garbage.noted - before).toBeGreaterThanOrEqual(80_000);
    socket.destroy();
  });

  test("notes what a piece leaves, however small it is", async () => {
    using served = serve();
    const { socket } = await upgrade(served.port);
    const before = garbage.noted;
    using tiny = spyOn(garbage, "noteTiny");
    socket.write("y\n");
    await until(() => served.tunnels[0]!.said === "y,");
    expect(garbage.noted - before).toBeGreaterThanOrEqual(700);
    expect(tiny.mock.calls.length).toBe(1);
    socket.write(`${"y".repeat(100)}\n`);
    await until(() => served.tunnels[0]!.said.length > 100);
    expect(tiny.mock.calls.length).toBe(1);
    socket.destroy();
  });
});

test("an upgraded connection is told when it is cut because all hold too many bytes", async () => {
  using served = serve({ heldBytesMax: 100_000 });
  const { socket, got } = dial(served.port);
  socket.write(get("/"));
  await until(() => got.text.includes("101"));
  socket.write("y".repeat(300_000));
  await until(() => served.tunnels[0]!.events.includes("starved"));
  expect(served.tunnels[0]!.events.slice(1)).toEqual(["starved", "closed"]);
});

test("an upgrade that finds no room is refused, and the connection closed", async () => {
  using served = serve({}, true);
  const { statuses, closed } = await served.ask([get("/")]);
  expect([statuses, closed]).toEqual([[503], true]);
});

test.each([false, true])(
  "a refusal of a WebSocket closes (it is made later: %p)",
  async (later) => {
    const refusal = () => new Response("full", { status: 503 });
    using served = listen(() => (later ? Promise.resolve(refusal()) : refusal()));
    const wish = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    const { statuses, closed, text } = await served.ask([get("/", wish)]);
    expect([statuses, closed]).toEqual([[503], true]);
    expect(text).toContain("Connection: close\r\n");
    expect((await served.ask([get("/")])).closed).toBe(false);
  },
);

test("a refused upgrade takes no room until its client shuts its side", async () => {
  using served = serve({ tickMilliseconds: 60_000 }, true);
  const socket = connect({ port: served.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.write(get("/"));
  const [answer] = await once(socket, "data");
  expect(String(answer)).toContain("503");
  await until(() => served.server.connections === 0);
  socket.destroy();
});

test("a flood of HTTP does not close an upgraded connection to make room", async () => {
  using served = serve({ connectionsMax: 2, sparedTicks: 0 });
  const { socket, got } = dial(served.port);
  socket.write(get("/"));
  await until(() => got.text.includes("101"));
  const others = Array.from({ length: 6 }, () => dial(served.port));
  await until(() => others.filter((other) => other.got.closed).length >= 5);
  socket.write("alive\n");
  await until(() => got.text.includes("<alive>"));
  for (const other of others) other.socket.destroy();
  socket.destroy();
});
