/**
 * Where the operator allows clients to claim an address, over real sockets: what a stranger cannot
 * do to an address it claims. Public addresses come by a proxy header, as loopback has none.
 */
import { describe, expect, test } from "bun:test";
import { decodeDictionary, type Dictionary } from "./bencode.ts";
import { announceRequest, openDatagrams, randomBytes, readAnnounceAnswer } from "./datagrams.ts";
import { SETTINGS, startProcess, startTracker, type Tracker } from "./harness.ts";

const CLAIMS = { TRACKER_ALLOW_IP_PARAMETER: "yes", TRACKER_TRUSTED_PROXIES: "127.0.0.1" };
const VICTIM = "198.41.0.5";
const STRANGER = "198.41.77.9";
const UDP_STRANGER = "127.0.0.9";
const STOPPED = 3;

interface Asked {
  from: string;
  infoHash: Uint8Array;
  ip?: string | undefined;
  left?: number;
  event?: string;
}

async function overHttp(tracker: Tracker, asked: Asked): Promise<Dictionary> {
  const { from, infoHash, ip, left = 1, event } = asked;
  const escaped = [...infoHash].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
  const extra =
    (ip === undefined ? "" : `&ip=${ip}`) + (event === undefined ? "" : `&event=${event}`);
  const query = `info_hash=${escaped}&port=6881&left=${left}${extra}`;
  const url = `http://127.0.0.1:${tracker.port}/announce?${query}`;
  const answer = await fetch(url, { headers: { "X-Forwarded-For": from } });
  return decodeDictionary(await answer.bytes());
}

/** Seeders and leechers in the reply. */
const counts = (reply: Dictionary): unknown[] => [reply["complete"], reply["incomplete"]];
const warned = (reply: Dictionary): boolean => reply["warning message"] !== undefined;

/** An announce over UDP that claims an IPv4 address; seeders and leechers in the reply. */
async function overUdp(
  tracker: Tracker,
  { infoHash, ip, left, event }: Omit<Asked, "event" | "from"> & { event?: number },
): Promise<number[]> {
  using client = await openDatagrams("127.0.0.1", tracker.port, UDP_STRANGER);
  const connectionId = await client.connect();
  const fields = { connectionId, infoHash, port: 6881, left: left ?? 1, event: event ?? 0 };
  const request = announceRequest(fields);
  request.set(ip!.split(".").map(Number), 84);
  const [answer] = await client.exchange(request);
  const { seeders, leechers } = readAnnounceAnswer(answer!, 6);
  return [seeders, leechers];
}

for (const [name, env] of Object.entries(SETTINGS)) {
  describe(`with ${name}`, () => {
    test("a stranger does not stop or change the peer whose address it claims", async () => {
      await using tracker = await startTracker({ env: { ...env, ...CLAIMS } });
      const infoHash = randomBytes(20);
      await overHttp(tracker, { from: VICTIM, infoHash, left: 0 });
      const claim = { infoHash, ip: VICTIM };
      const stop = await overHttp(tracker, { ...claim, from: STRANGER, event: "stopped" });
      expect(counts(stop)).toEqual([1, 0]);
      const change = await overHttp(tracker, { ...claim, from: STRANGER });
      expect([...counts(change), warned(change)]).toEqual([1, 0, true]);
      expect(await overUdp(tracker, { ...claim, event: STOPPED })).toEqual([1, 0]);
      expect(await overUdp(tracker, claim)).toEqual([1, 0]);
    });

    test("a stranger does not seed in the name of 50 others", async () => {
      await using tracker = await startTracker({ env: { ...env, ...CLAIMS } });
      const infoHash = randomBytes(20);
      const others = Array.from({ length: 50 }, (_, i) => `198.41.${i}.5`);
      const come = (ips: string[]) =>
        Promise.all(ips.map((from) => overHttp(tracker, { from, infoHash })));
      await come(others.slice(0, 25));
      for (const ip of others) {
        await overHttp(tracker, { from: STRANGER, infoHash, ip, left: 0 });
        await overUdp(tracker, { infoHash, ip, left: 0 });
      }
      await come(others.slice(25));
      const last = await overHttp(tracker, { from: others[0]!, infoHash });
      expect(counts(last)).toEqual([0, 50]);
    });
  });
}

test("a stranger uses its own quota up, and not the victim's", async () => {
  const env = {
    ...CLAIMS,
    TRACKER_MEMORY_MAX: "64MiB",
    TRACKER_SWARMS_PER_ADDRESS_MAX: "1000",
  };
  await using tracker = await startTracker({ env });
  const stored = async (count: number, from: string, ip?: string): Promise<number> => {
    let stored = 0;
    for (let i = 0; i < count; i++) {
      const reply = await overHttp(tracker, { from, infoHash: randomBytes(20), ip });
      if (!warned(reply)) stored += 1;
    }
    return stored;
  };
  expect(await stored(1001, STRANGER, VICTIM)).toBe(1000);
  expect(await stored(20, STRANGER)).toBe(0);
  expect(await stored(20, VICTIM)).toBe(20);
}, 30_000);

test("a client behind a NAT that names its private address is stored where it is", async () => {
  await using tracker = await startTracker({ env: CLAIMS });
  const infoHash = randomBytes(20);
  for (const [i, ip] of ["192.168.1.5", "0.0.0.0", "10.0.0.1", "fe80::1"].entries()) {
    await overHttp(tracker, { from: `198.41.0.${i}`, infoHash, ip });
  }
  expect(await overUdp(tracker, { infoHash, ip: "10.9.9.9" })).toEqual([0, 5]);
  const reply = await overHttp(tracker, { from: VICTIM, infoHash });
  const peers = Buffer.from(reply["peers"] as string, "latin1").toString("hex");
  for (let i = 0; i < 4; i++) expect(peers).toContain(`c629000${i}1ae1`);
  expect(peers).toContain("7f0000091ae1");
});

test("the start and check say what the setting opens", async () => {
  const said = "clients may announce addresses that are not theirs";
  await using tracker = await startTracker({ env: CLAIMS });
  await tracker.says(said);
  await using other = await startTracker();
  const check = async (env: Record<string, string>) => {
    const child = startProcess({ args: ["check"], env });
    return [await child.exited(), child.stderr.includes(said)];
  };
  expect(await check(CLAIMS)).toEqual([0, true]);
  expect(await check({})).toEqual([0, false]);
  expect(other.stderr).not.toContain(said);
});
