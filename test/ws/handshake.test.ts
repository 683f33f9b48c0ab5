import { describe, expect, test } from "bun:test";
import type { Takeover } from "../../src/net/tunnel.ts";
import { readNetworkFile } from "../../src/access/network-file.ts";
import { Access, openToAll } from "../../src/access/access.ts";
import { AllowedHosts } from "../../src/notes/hosts.ts";
import { atOnce, text } from "../access/fixture.ts";
import { openTracker } from "../http/fixture.ts";
import { limitsOf } from "../limits/fixture.ts";
import { FakeLine } from "./fixture.ts";
import { openSockets, type Upgrade, upgradeRequest } from "./sockets-fixture.ts";

type Opened = ReturnType<typeof openSockets>;

/** The status and the body of the answer, or the bytes of the takeover. */
async function ask(how: Upgrade = {}, opened: Opened = openSockets()) {
  const answer = opened.sockets.upgrade(upgradeRequest(how));
  if (!(answer instanceof Response)) return { status: 101, text: answer.response.toString() };
  const { status, headers } = answer;
  return { status, text: await answer.text(), headers };
}

test("a request for an upgrade is answered as RFC 6455 has it in its example", async () => {
  const { status, text } = await ask({
    headers: { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" },
  });
  expect(status).toBe(101);
  expect(text).toBe(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
  );
});

test("extensions and protocols that a client offers are not agreed on", async () => {
  const { text } = await ask({
    headers: {
      "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
      "Sec-WebSocket-Protocol": "x",
    },
  });
  expect(text).not.toMatch(/Extensions|Protocol:/);
});

describe("a request is refused", () => {
  test("with 400 if it is no GET over HTTP/1.1, or has a body or a wrong key", async () => {
    expect((await ask({ method: "POST" })).status).toBe(400);
    expect((await ask({ version: "1.0", headers: { Host: "a" } })).status).toBe(400);
    expect((await ask({ headers: { "Content-Length": "3" } })).status).toBe(400);
    expect((await ask({ headers: { Connection: "close, upgrade" } })).status).toBe(400);
    for (const key of ["", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZR=="]) {
      expect((await ask({ headers: { "Sec-WebSocket-Key": key } })).status).toBe(400);
    }
  });

  test("with 426 and the version, if it asks for another", async () => {
    for (const version of ["8", "", "13, 8"]) {
      const { status, headers } = await ask({ headers: { "Sec-WebSocket-Version": version } });
      expect([status, headers!.get("sec-websocket-version")]).toEqual([426, "13"]);
      expect(headers!.get("upgrade")).toBe("websocket");
    }
  });

  test("with 403 for an origin that is not on the lists", async () => {
    const opened = openSockets({ settings: { origins: { denied: ["https://b.example"] } } });
    expect((await ask({ headers: { Origin: "https://b.example" } }, opened)).status).toBe(403);
    expect((await ask({ headers: { Origin: "https://a.example" } }, opened)).status).toBe(101);
    expect(opened.counters.total("websocket:origin")).toBe(1);
  });

  test("with 403 and the sentence of its gate: address, network, rule or host", async () => {
    const keys = openTracker().store.memory.keys;
    const networks = atOnce(readNetworkFile(text("192.0.2.0/24"))).list.memory;
    const denied = openSockets({ access: new Access({ ...openToAll(keys), networks }) });
    expect(await ask({}, denied)).toMatchObject({
      status: 403,
      text: "your network is denied here\n",
    });
    const strict = openSockets({ refusePrivate: true });
    expect((await ask({ from: "10.0.0.1" }, strict)).text).toMatch(/^private addresses/);
    expect((await ask({ from: null })).text).toMatch(/^your address is unknown/);
    const rules = 'refuse "no bots" header:user-agent=*bot*';
    const ruled = openSockets({ limits: limitsOf({ rules }).limits });
    const bot = { headers: { "User-Agent": "a bot" } };
    expect((await ask(bot, ruled)).text).toBe("no bots\n");
    expect((await ask({}, ruled)).status).toBe(101);
    const named = openSockets({ hosts: new AllowedHosts(["tracker.example.org"]) });
    expect((await ask({}, named)).text).toMatch(/^this tracker does not serve this host/);
  });

  test("with 429 over the rate limit", async () => {
    const { limits } = limitsOf({ rates: { mode: "enforce" } });
    const opened = openSockets({ limits });
    for (let i = 0; i < 60; i++) await ask({}, opened);
    expect((await ask({}, opened)).status).toBe(429);
  });

  test("with 503 when all connections are taken, or those of its origin", async () => {
    const settings = { connectionsMax: 3, origins: { connectionsMax: 2 } };
    const opened = openSockets({ settings });
    const open = (origin: string): void => {
      const headers = { Origin: origin };
      const takeover = opened.sockets.upgrade(upgradeRequest({ headers })) as Takeover;
      takeover.begin(new FakeLine({ tick: 0 }));
    };
    open("https://a.example");
    open("https://a.example");
    expect((await ask({ headers: { Origin: "https://a.example" } }, opened)).status).toBe(503);
    open("https://b.example");
    const full = await ask({ headers: { Origin: "https://b.example" } }, opened);
    expect([full.status, opened.full.count]).toEqual([503, 1]);
    expect(opened.counters.total("websocket:full")).toBe(2);
  });

  test("with 503 when its address, or its IPv6 /48, has too many connections", () => {
    const limits = { connectionsPerAddressMax: 4, connectionsPerSiteMax: 9 };
    const opened = openSockets({ settings: limits });
    const begin = (open: number, siteOpen = open) => {
      const line = new FakeLine({ tick: 0 });
      line.place.open = open;
      line.place.siteOpen = siteOpen;
      const takeover = opened.sockets.upgrade(upgradeRequest({})) as Takeover;
      expect(takeover.refusal.toString()).toMatch(/^HTTP\/1.1 503 .*\r\n\r\ntoo many/s);
      return takeover.begin(line);
    };
    expect(begin(4)).toBeDefined();
    expect(begin(5)).toBeUndefined();
    expect(begin(1, 9)).toBeDefined();
    expect(begin(1, 10)).toBeUndefined();
    expect(opened.sockets.connections).toBe(2);
  });
});

test("behind a trusted proxy the client is whom the proxy names", () => {
  const opened = openSockets({ proxies: ["10.0.0.0/8"] });
  const headers = { "X-Forwarded-For": "198.51.100.7" };
  const takeover = opened.sockets.upgrade(
    upgradeRequest({ from: "10.0.0.1", headers }),
  ) as Takeover;
  expect([...takeover.address, takeover.family]).toEqual([198, 51, 100, 7, 4]);
  const unnamed = opened.sockets.upgrade(upgradeRequest({ from: "10.0.0.1" }));
  expect((unnamed as Response).status).toBe(403);
  expect(opened.unclear.count).toBe(1);
});
