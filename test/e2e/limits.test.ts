/**
 * Limits through the compiled binary, with and without UDP workers, over both transports: rates,
 * rules, intervals that grow, announces that are too early, and who is never handed out.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { decodeDictionary, type Dictionary } from "./bencode.ts";
import { announceRequest, type Datagrams, isAround } from "./datagrams.ts";
import { openDatagrams, randomBytes } from "./datagrams.ts";
import { type Environment, startProcess, startTracker, type Tracker } from "./harness.ts";
import { exchangeTcp, readResponses } from "./raw-http.ts";
import { until } from "../until.ts";

const HOST = "127.0.0.1";
const SLOW_MILLISECONDS = 30_000;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "buntracker-limits-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

interface Asking {
  hash?: Uint8Array;
  port?: number;
  source?: string;
  /** HTTP's name of the event; "" for none. */
  event?: "" | "started" | "completed" | "stopped";
  /** Fields of the HTTP request. */
  fields?: string;
  scrape?: boolean;
}

const EVENTS = { "": 0, completed: 1, started: 2, stopped: 3 };
const HASH = randomBytes(20);
const escaped = (bytes: Uint8Array): string => bytes.toHex().replace(/../g, "%$&");

/** The status and the body of an HTTP answer. */
async function askHttp(tracker: Tracker, asking: Asking) {
  const { hash = HASH, port = 7001, source = HOST, event = "", fields = "", scrape } = asking;
  const query =
    `info_hash=${escaped(hash)}&peer_id=-EE0001-abcdefghijkl&port=${port}&left=1` +
    (event === "" ? "" : `&event=${event}`);
  const head = `GET /${scrape ? "scrape" : "announce"}?${query} HTTP/1.1\r\nHost: x\r\n${fields}`;
  const { bytes } = await exchangeTcp({
    host: HOST,
    port: tracker.port,
    source,
    pieces: [Buffer.from(`${head}Connection: close\r\n\r\n`)],
  });
  return readResponses(bytes, true)[0];
}

async function announceHttp(tracker: Tracker, asking: Asking = {}): Promise<Dictionary> {
  return decodeDictionary((await askHttp(tracker, asking))!.body);
}

/** The answer to an announce: "served", or the failure and the retry time. */
async function saidHttp(tracker: Tracker, asking: Asking = {}): Promise<string> {
  const answer = await askHttp(tracker, asking);
  if (answer === undefined || answer.body.length === 0) return "nothing";
  const { "failure reason": reason, "retry in": retryIn } = decodeDictionary(answer.body);
  if (reason === undefined) return "served";
  return retryIn === undefined ? String(reason) : `${String(reason)} / ${String(retryIn)}`;
}

/** The answer over UDP; "nothing" without one. */
async function saidUdp(tracker: Tracker, asking: Asking = {}): Promise<string> {
  const answer = await announceUdp(tracker, asking);
  if (answer === undefined) return "nothing";
  const action = new DataView(answer.buffer, answer.byteOffset).getUint32(0);
  return action === 3 ? Buffer.from(answer.subarray(8)).toString("latin1") : "served";
}

async function announceUdp(tracker: Tracker, asking: Asking): Promise<Uint8Array | undefined> {
  using client = await openDatagrams(HOST, tracker.port, asking.source ?? HOST);
  const connectionId = await client.connect();
  return (await client.exchange(requestUdp(connectionId, asking)))[0];
}

function requestUdp(connectionId: Uint8Array, asking: Asking): Uint8Array {
  const { hash = HASH, port = 7002, event = "", scrape } = asking;
  const fields = { connectionId, infoHash: hash, port, event: EVENTS[event] };
  const request = announceRequest(fields);
  if (!scrape) return request;
  request[11] = 2;
  return request.slice(0, 36);
}

/** How many of `count` announces, one right after the other, are answered. */
async function answered(client: Datagrams, connectionId: Uint8Array, count: number) {
  let answers = 0;
  for (let i = 0; i < count; i++) {
    answers += (await client.exchange(requestUdp(connectionId, {}))).length;
  }
  return answers;
}

const intervalOf = (answer: Uint8Array | undefined): number =>
  new DataView(answer!.buffer, answer!.byteOffset).getUint32(8);

describe.each(["0", "1"])("with TRACKER_UDP_WORKERS=%s", (workers) => {
  const start = (env: Environment) =>
    startTracker({ env: { TRACKER_UDP_WORKERS: workers, ...env } });

  describe("rate limits", () => {
    test(
      "are enforced over both transports together, for each address on its own",
      async () => {
        await using tracker = await start({
          TRACKER_RATE_LIMIT: "enforce",
          TRACKER_RATE_LIMIT_ADDRESS: "1",
          TRACKER_RATE_LIMIT_NETWORK: "100",
        });
        using client = await openDatagrams(HOST, tracker.port, "127.0.0.2");
        // Who forges an address cannot lock its owner out.
        for (let i = 0; i < 200; i++) client.send(requestUdp(randomBytes(8), {}));
        const id = await client.connect();
        // Some seconds may go by meanwhile, and each of them lets another one pass.
        const answers = await answered(client, id, 80);
        expect(answers).toBeGreaterThanOrEqual(60);
        expect(answers).toBeLessThan(75);
        const far = { source: "127.0.0.2" };
        expect(await saidHttp(tracker, far)).toBe(
          "too many requests from your address or network / 1",
        );
        expect(await saidHttp(tracker, { ...far, scrape: true })).toStartWith("too many requests");
        expect(await saidUdp(tracker, { ...far, scrape: true })).toBe("nothing");
        expect(await saidUdp(tracker, { source: "127.0.0.3" })).toBe("served");
        expect(await saidHttp(tracker, { source: "127.0.0.3" })).toBe("served");
      },
      SLOW_MILLISECONDS,
    );

    test(
      "leave each address of a network that is over its limit a share of its own",
      async () => {
        await using tracker = await start({
          TRACKER_RATE_LIMIT: "enforce",
          TRACKER_RATE_LIMIT_ADDRESS: "64",
          TRACKER_RATE_LIMIT_NETWORK: "64",
        });
        let served = 0;
        for (let host = 1; host <= 20; host++) {
          using flooder = await openDatagrams(HOST, tracker.port, `127.0.7.${host}`);
          served += await answered(flooder, await flooder.connect(), 400);
        }
        // A minute of the network's, one of each address' 256th, and seconds that go by.
        expect(served).toBeGreaterThanOrEqual(60 * 64);
        expect(served).toBeLessThan(75 * 64 + 20 * 15);
        using neighbour = await openDatagrams(HOST, tracker.port, "127.0.7.99");
        const answers = await answered(neighbour, await neighbour.connect(), 100);
        expect(answers).toBeGreaterThanOrEqual(15);
        expect(answers).toBeLessThan(60);
      },
      SLOW_MILLISECONDS,
    );

    test("refuse no request by default", async () => {
      await using tracker = await start({ TRACKER_RATE_LIMIT_ADDRESS: "1" });
      using client = await openDatagrams(HOST, tracker.port);
      expect(await answered(client, await client.connect(), 100)).toBe(100);
      expect(await saidHttp(tracker)).toBe("served");
    });
  });

  describe("rules", () => {
    test(
      "hold over both transports, change on SIGHUP, and stay as they were if a line is bad",
      async () => {
        const path = join(folder, `rules-${workers}`);
        writeFileSync(path, 'refuse "use another port" port=1-1023\n');
        await using tracker = await start({ TRACKER_RULES_FILE: path });
        const both = async (asking: Asking) => [
          await saidHttp(tracker, asking),
          await saidUdp(tracker, asking),
        ];
        expect(await both({ port: 80 })).toEqual(["use another port", "use another port"]);
        expect(await both({ port: 7000 })).toEqual(["served", "served"]);

        writeFileSync(
          path,
          'drop network=127.0.0.9\nrefuse "no" user-agent=Bad*\ndrop peer-id=-EE port=9\n',
        );
        tracker.signal("SIGHUP");
        await tracker.says("rules=3");
        expect(await both({ port: 80 })).toEqual(["served", "served"]);
        expect(await both({ port: 9 })).toEqual(["nothing", "nothing"]);
        expect(await both({ source: "127.0.0.9" })).toEqual(["nothing", "nothing"]);
        expect(await both({ source: "127.0.0.9", scrape: true })).toEqual(["nothing", "nothing"]);
        expect(await both({ fields: "User-Agent: badclient\r\n" })).toEqual(["no", "served"]);

        writeFileSync(path, "drop port=80\nallow port=9\n");
        tracker.signal("SIGHUP");
        await tracker.says('line 2 begins with \\"allow\\": write refuse, drop or count');
        expect(await both({ port: 80 })).toEqual(["served", "served"]);
        expect(await both({ port: 9 })).toEqual(["nothing", "nothing"]);
      },
      SLOW_MILLISECONDS,
    );
  });

  test("early announces get no peers if set, but events do; a second URL never fails", async () => {
    await using tracker = await start({ TRACKER_EARLY_ANNOUNCES: "refuse" });
    await announceHttp(tracker, { source: "127.0.0.2" });
    const peer = { port: 7005 };
    /** Peers and interval in the reply to the same peer, over each transport. */
    const http = async (event: Asking["event"] = "") => {
      const reply = await announceHttp(tracker, { ...peer, event });
      expect(reply["failure reason"]).toBeUndefined();
      return [String(reply["peers"]).length / 6, Number(reply["interval"])] as const;
    };
    const udp = async (event: Asking["event"] = "") => {
      const reply = (await announceUdp(tracker, { ...peer, event }))!;
      expect(reply[3]).toBe(1);
      return [(reply.length - 20) / 6, intervalOf(reply)] as const;
    };
    for (const ask of [http, udp]) {
      expect((await ask("started"))[0]).toBe(1);
      for (const again of [http, udp]) {
        const [peers, interval] = await again();
        expect(peers).toBe(0);
        expect(interval).toBeLessThanOrEqual(1980);
        expect(interval).toBeGreaterThan(1500);
      }
      for (const event of ["completed", "started"] as const) {
        expect([event, (await ask(event))[0]]).toEqual([event, 1]);
      }
      await ask("stopped");
      expect((await ask())[0]).toBe(1);
    }
  });

  test("early announces are answered by default", async () => {
    await using tracker = await start({});
    for (let i = 0; i < 3; i++) {
      expect([await saidHttp(tracker), await saidUdp(tracker)]).toEqual(["served", "served"]);
    }
  });

  test("a peer with a port below the minimum is answered but not stored", async () => {
    await using tracker = await start({ TRACKER_PORT_MIN: "1024" });
    await announceHttp(tracker, { port: 1023 });
    await announceUdp(tracker, { port: 80 });
    const answer = await announceHttp(tracker, { port: 1024, source: "127.0.0.2" });
    expect([answer["complete"], answer["incomplete"]]).toEqual([0, 1]);
    expect(answer["warning message"]).toBeUndefined();
    expect((await announceUdp(tracker, { port: 1023 }))!.toHex().slice(24)).toBe(
      "00000001" + "00000000" + "7f0000020400",
    );
  });

  test(
    "intervals grow over both transports when more announce than are wanted",
    async () => {
      await using tracker = await start({
        TRACKER_TARGET_RATE: "20",
        TRACKER_INTERVAL: "60s",
        TRACKER_INTERVAL_MAX: "90s",
        TRACKER_PEER_TIMEOUT: "2m",
      });
      using client = await openDatagrams(HOST, tracker.port);
      const id = await client.connect();
      const told = async () => {
        const [answer] = await client.exchange(requestUdp(id, {}));
        return [intervalOf(answer), (await announceHttp(tracker))["interval"]];
      };
      for (const interval of await told()) expect(isAround(interval, 60)).toBe(true);
      await until(async () => {
        // Peers that nobody knows: those who come early have their place already.
        for (let i = 0; i < 500; i++)
          await client.exchange(requestUdp(id, { hash: randomBytes(20) }));
        return (await told()).every((interval) => isAround(interval, 90));
      });
    },
    2 * SLOW_MILLISECONDS,
  );

  test("a large swarm gets longer intervals, a small one does not", async () => {
    await using tracker = await start({
      TRACKER_INTERVAL_PER_SWARM_SIZE: "30m",
      TRACKER_PEER_TIMEOUT: "3h",
    });
    using client = await openDatagrams(HOST, tracker.port);
    const id = await client.connect();
    for (let port = 8000; port < 8256; port++) await client.exchange(requestUdp(id, { port }));
    const [large] = await client.exchange(requestUdp(id, { port: 8000 }));
    expect(isAround(intervalOf(large), 5400)).toBe(true);
    expect(isAround((await announceHttp(tracker, { port: 8001 }))["interval"], 5400)).toBe(true);
    const [small] = await client.exchange(requestUdp(id, { hash: randomBytes(20) }));
    expect(isAround(intervalOf(small), 1800)).toBe(true);
  });

  test("peers of one swarm, and swarms begun by one address, are as many as allowed", async () => {
    await using tracker = await start({
      TRACKER_MEMORY_MAX: "16MiB",
      TRACKER_PEERS_PER_SWARM_MAX: "2",
      TRACKER_SWARMS_PER_ADDRESS_MAX: "64",
    });
    for (const port of [1, 2, 3]) await announceUdp(tracker, { port });
    expect((await announceHttp(tracker, { port: 4 }))["incomplete"]).toBe(2);
    const counts: unknown[] = [];
    // The two peers above are of this address too.
    for (let byte = 1; byte <= 64; byte++) {
      const hash = new Uint8Array(20).fill(byte);
      await announceUdp(tracker, { hash });
      const reply = await announceHttp(tracker, { hash, source: "127.0.0.2", port: 0 });
      counts.push(reply["incomplete"]);
    }
    expect(counts).toEqual([...new Array(62).fill(1), 0, 0]);
  });
});

test("a peer cannot have an address that nobody has", async () => {
  await using tracker = await startTracker({
    env: { TRACKER_TRUSTED_PROXIES: "127.0.0.1", TRACKER_PRIVATE_ADDRESSES: "refuse" },
  });
  const said = (address: string) =>
    saidHttp(tracker, { fields: `X-Forwarded-For: ${address}\r\n` });
  expect(await said("8.8.8.8")).toBe("served");
  expect(await said("2a00:1450::1")).toBe("served");
  for (const address of ["240.0.0.1", "255.255.255.255", "224.0.0.1", "0.0.0.0", "ff02::1"]) {
    expect([address, await said(address)]).toEqual([
      address,
      "your address cannot be the address of a peer",
    ]);
  }
  const reserved = "10.0.0.1 192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 2001:db8::1 2002:a00::";
  for (const address of reserved.split(" ")) {
    expect([address, await said(address)]).toEqual([
      address,
      "private addresses are not accepted: announce from a public address",
    ]);
  }
});

test("a bad rules file ends the start with a sentence that names the line", async () => {
  const path = join(folder, "bad-rules");
  writeFileSync(path, "drop port=1\ndrop\n");
  const tracker = startProcess({ env: { TRACKER_RULES_FILE: path, TRACKER_ADMIN_ADDRESS: "" } });
  expect(await tracker.exited()).toBe(78);
  expect(tracker.stderr).toContain(
    `TRACKER_RULES_FILE ${path}: line 2 has no condition, so it would match every request`,
  );
});
