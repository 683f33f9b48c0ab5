import { afterEach, describe, expect, test } from "bun:test";
import { Connection, type OwnedSocket } from "../../src/http/connection.ts";
import { Gathered, GATHERED_BYTES_MAX, GATHERED_MAX } from "../../src/http/gathered.ts";
import { HttpServer } from "../../src/http/server.ts";
import { answerText, get, targetOf } from "./connected.ts";
import { until } from "../until.ts";
import { fakeSocket } from "./fake-socket.ts";

/** A connection that has received `text`, without a socket. */
function received(text: string): Connection {
  const connection = new Connection(fakeSocket());
  connection.keep(Buffer.from(text, "latin1"));
  return connection;
}

/** A `Gathered`, and one line for each of its calls. */
function open() {
  const calls: string[] = [];
  const gathered = new Gathered(
    (texts, count) => void calls.push(`prefetch ${texts.slice(0, count).join(" ")}`),
    (connection, text) => {
      expect(connection.busy).toBe(false);
      calls.push(`answer ${text}`);
    },
  );
  return { gathered, calls };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("what comes in one turn is prefetched and answered at its end, in order", async () => {
  const { gathered, calls } = open();
  const connections = ["a", "b", "\xff"].map(received);
  for (const connection of connections) gathered.add(connection);
  expect(connections.map(({ busy, free }) => [busy, free])).toEqual(Array(3).fill([true, false]));
  expect(calls).toEqual([]);
  await turn();
  expect(calls).toEqual(["prefetch a b \xff", "answer a", "answer b", "answer \xff"]);
});

test("each turn has its own requests", async () => {
  const { gathered, calls } = open();
  for (const text of ["long before", "b"]) {
    gathered.add(received(text));
    await turn();
  }
  await turn();
  expect(calls).toEqual(["prefetch long before", "answer long before", "prefetch b", "answer b"]);
});

test("a full set is answered at once, and the next requests at the end of the turn", async () => {
  const { gathered, calls } = open();
  for (let i = 0; i < GATHERED_MAX; i++) {
    expect(calls).toEqual([]);
    gathered.add(received(`${i}`));
  }
  expect(calls.length).toBe(1 + GATHERED_MAX);
  expect(calls.at(-1)).toBe(`answer ${GATHERED_MAX - 1}`);
  gathered.add(received("next"));
  expect(calls.length).toBe(1 + GATHERED_MAX);
  await turn();
  expect(calls.slice(1 + GATHERED_MAX)).toEqual(["prefetch next", "answer next"]);
});

test("the text is all that the connection has at the end of the turn", async () => {
  const { gathered, calls } = open();
  const connections = ["a", "b"].map(received);
  for (const connection of connections) gathered.add(connection);
  connections[0].keep(Buffer.from(" and more"));
  connections[1].drop();
  await turn();
  expect(calls).toEqual(["prefetch a and more ", "answer a and more", "answer "]);
});

test("the text has at most the size of a head", async () => {
  const { gathered, calls } = open();
  gathered.add(received("x".repeat(20_000)));
  await turn();
  expect(calls[1]).toBe(`answer ${"x".repeat(16 * 1024)}`);
});

test("an answered connection can be added again", async () => {
  const calls: string[] = [];
  const gathered = new Gathered(undefined, (connection, text) => {
    calls.push(text);
    if (text === "again") return;
    connection.leftover.clear();
    connection.keep(Buffer.from("again"));
    gathered.add(connection);
  });
  const connections = ["a", "b", "c"].map(received);
  for (const connection of connections) gathered.add(connection);
  await turn();
  await turn();
  expect(calls).toEqual(["a", "b", "c", "again", "again", "again"]);
});

/** Stops the servers of a test, whose clocks would close connections of the next one. */
const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

/** A server with fake sockets: the test decides the events of one turn. */
function serve() {
  const prefetched: string[][] = [];
  const server = new HttpServer(
    {
      bodyBytesMax: 5000,
      answer: (exchange) => answerText(exchange, targetOf(exchange).slice(0, 5)),
      prefetch: (texts, count) => void prefetched.push(texts.slice(0, count)),
    },
    { connectionsMax: 100 },
  );
  const { open, data, end, close } = server.socket;
  const clients: { vanish: () => void }[] = [];
  endings.push(() => {
    for (const client of clients) client.vanish();
    return server.stop();
  });
  const connect = () => {
    const place = { answers: "", ended: false, send, finish, vanish };
    const socket = fakeSocket({
      write(bytes, from = 0, size = bytes.length) {
        const text = Buffer.from(bytes.subarray(from, from + size)).toString("latin1");
        place.answers += text.replace(/HTTP[^]*?\r\n\r\n/g, "|");
        return size;
      },
      end: () => void (place.ended = true),
      terminate: vanish,
    }) as OwnedSocket;
    function send(text: string) {
      data(socket, Buffer.from(text));
    }
    function finish() {
      end(socket);
    }
    function vanish() {
      close(socket);
    }
    open(socket);
    clients.push(place);
    return place;
  };
  return { server, connect, prefetched };
}

describe("a server", () => {
  test("answers the requests of one turn at its end, each client its own", async () => {
    const { connect, prefetched } = serve();
    const clients = ["/a", "/b", "/c"].map((target) => ({ target, client: connect() }));
    for (const { target, client } of clients) client.send(get(target));
    expect(clients.map(({ client }) => client.answers)).toEqual(["", "", ""]);
    await turn();
    expect(clients.map(({ client }) => client.answers)).toEqual(["|/a", "|/b", "|/c"]);
    expect(prefetched).toEqual([clients.map(({ target }) => get(target))]);
  });

  test("keeps the order of one connection's requests in one turn, in any pieces", async () => {
    const { connect } = serve();
    const client = connect();
    client.send(get("/a") + "GET /b");
    client.send(" HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send(get(`/${"c".repeat(GATHERED_BYTES_MAX)}`) + get("/d"));
    await turn();
    expect(client.answers).toBe("|/a|/b|/cccc|/d");
    client.send(get("/e"));
    await turn();
    expect(client.answers).toBe("|/a|/b|/cccc|/d|/e");
  });

  test("answers long requests at once", () => {
    const { connect, prefetched } = serve();
    const client = connect();
    client.send(get("/a", `Cookie: ${"x".repeat(GATHERED_BYTES_MAX)}\r\n`));
    expect(client.answers).toBe("|/a");
    expect(prefetched).toEqual([]);
  });

  test("answers a client that half-closes in the same turn, and then closes", async () => {
    const { connect } = serve();
    const client = connect();
    client.send(get("/a"));
    client.finish();
    expect(client).toMatchObject({ answers: "", ended: false });
    await turn();
    expect(client).toMatchObject({ answers: "|/a", ended: true });
  });

  test("sends nothing to a client that is gone by the end of the turn", async () => {
    const { server, connect } = serve();
    const [client, other] = [connect(), connect()];
    for (const { send } of [client, other]) send(get("/a"));
    client.vanish();
    await turn();
    expect([client.answers, other.answers, server.connections]).toEqual(["", "|/a", 1]);
  });

  test("that stops answers received requests, and closes", async () => {
    const { server, connect } = serve();
    const [client, idle] = [connect(), connect()];
    idle.send(get("/b"));
    await turn();
    client.send(get("/a"));
    void server.stop();
    // One that is kept open is closed a little later: a request may be on its way.
    expect([client.ended, idle.ended]).toEqual([false, false]);
    await turn();
    expect(client).toMatchObject({ answers: "|/a", ended: true });
    expect(idle.ended).toBe(false);
    await until(() => idle.ended);
  });
});
