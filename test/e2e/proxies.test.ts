/** Behind a proxy: the address that counts for announces, statistics and rate limits. */
import { describe, expect, test } from "bun:test";
import { decodeDictionary, type Dictionary } from "./bencode.ts";
import { startTracker, type Tracker } from "./harness.ts";

const HASH = "%7E%99%03Q%7D%D7%92%13%0E%2Az%1A%E9%A6%2C%F2%DE%E3%CB%80";
const ANNOUNCE = `announce?info_hash=${HASH}&peer_id=M5-0-9--04ced8af43f0&port=23004&left=1`;
/** The burst of one address, at one request a second. */
const REQUESTS_AT_ONCE = 60;

/** How each header names a client at an address, behind another proxy that is trusted. */
const HEADERS: Record<string, (address: string) => string> = {
  "x-forwarded-for": (address) => `192.0.2.66, ${address}, 10.1.2.3`,
  "x-real-ip": (address) => address,
  "cf-connecting-ip": (address) => address,
  forwarded: (address) => {
    const node = address.includes(":") ? `"[${address}]:4711"` : address;
    return `for=192.0.2.66, for=${node};proto=https, for=10.1.2.3`;
  },
};

function ask(tracker: Tracker, path: string, headers: Record<string, string>): Promise<Response> {
  return fetch(`http://127.0.0.1:${tracker.port}/${path}`, { headers });
}

async function announce(tracker: Tracker, headers: Record<string, string>): Promise<Dictionary> {
  return decodeDictionary(await (await ask(tracker, ANNOUNCE, headers)).bytes());
}

const bytesOf = (answer: Dictionary, key: string): string =>
  Buffer.from(String(answer[key]), "latin1").toString("hex");

describe.each(Object.entries(HEADERS))("behind a proxy that writes %s", (header, valueFor) => {
  const env = {
    TRACKER_TRUSTED_PROXIES: "127.0.0.1,10.0.0.0/8",
    TRACKER_PROXY_HEADER: header,
    TRACKER_STATS_NETWORKS: "198.51.100.0/24",
    TRACKER_RATE_LIMIT: "enforce",
    TRACKER_RATE_LIMIT_ADDRESS: "1",
  };
  const from = (address: string) => ({ [header]: valueFor(address) });
  /** The value of the header behind one proxy alone. */
  const own = (address: string) => (header === "forwarded" ? `for=${address}` : address);

  test("a peer has the client's address, and so have statistics and rate limits", async () => {
    await using tracker = await startTracker({ env });
    const first = await announce(tracker, from("198.51.100.7"));
    expect(bytesOf(first, "external ip")).toBe("c6336407");
    const sixth = await announce(tracker, from("2001:db9::1"));
    expect(bytesOf(sixth, "external ip")).toBe("20010db9000000000000000000000001");
    expect(bytesOf(sixth, "peers")).toBe("c633640759dc");
    const second = await announce(tracker, from("203.0.113.9"));
    expect(bytesOf(second, "peers")).toBe("c633640759dc");
    expect(bytesOf(second, "peers6")).toBe("20010db900000000000000000000000159dc");

    expect((await ask(tracker, "stats", from("198.51.100.7"))).status).toBe(200);
    expect((await ask(tracker, "stats", from("203.0.113.9"))).status).toBe(403);

    let served = 0;
    for (; served <= 2 * REQUESTS_AT_ONCE; served++) {
      const answer = await announce(tracker, from("203.0.113.9"));
      if (answer["failure reason"] !== undefined) break;
    }
    expect(served).toBeLessThan(REQUESTS_AT_ONCE + 10);
    const other = await announce(tracker, from("203.0.113.10"));
    expect(other["failure reason"]).toBeUndefined();
  });

  test("a client in the network of the proxies is the client, if no other is named", async () => {
    await using tracker = await startTracker({ env });
    const reply = await announce(tracker, { [header]: own("10.1.2.7") });
    expect(bytesOf(reply, "external ip")).toBe("0a010207");
    await using open = await startTracker({
      env: { ...env, TRACKER_TRUSTED_PROXIES: "0.0.0.0/0,::/0" },
    });
    const other = await announce(open, { [header]: own("203.0.113.9") });
    expect(bytesOf(other, "external ip")).toBe("cb007109");
    await open.says("everybody is a trusted proxy");
  });

  test("a request without the header has no client, and the proxy is not a peer", async () => {
    await using tracker = await startTracker({ env });
    const names = Object.keys(HEADERS).filter((name) => name !== header);
    for (const headers of [{}, { [names[0]!]: "203.0.113.9" }, { [header]: "rubbish" }]) {
      const answer = await announce(tracker, headers as Record<string, string>);
      expect(answer["failure reason"]).toBeDefined();
    }
    const first = await announce(tracker, from("198.51.100.7"));
    expect([first["complete"], first["incomplete"]]).toEqual([0, 1]);
    await tracker.says("a trusted proxy does not name its clients");
    for (const seen of ["none", names[0]!, header]) {
      await tracker.says(`wanted=${header} seen=${seen}`);
    }
    expect(tracker.stderr.split("does not name its clients")).toHaveLength(4);
  });

  test("a proxy that sends another header is told of once, with both names", async () => {
    await using tracker = await startTracker({ env });
    const other = Object.keys(HEADERS).find((name) => name !== header)!;
    for (let i = 0; i < 3; i++) await announce(tracker, { [other]: "203.0.113.9" });
    await tracker.says(`wanted=${header} seen=${other}`);
    await tracker.says(`TRACKER_PROXY_HEADER=${other}`);
    expect(tracker.stderr.split("does not name its clients")).toHaveLength(2);
  });
});
