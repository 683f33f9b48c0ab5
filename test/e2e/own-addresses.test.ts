/**
 * Addresses of the tracker's own machine, over real sockets.
 *
 * The addresses are those of a network namespace, in which this file runs itself once more: so
 * nothing outside is touched, whatever the machine's own addresses are. Where namespaces are not to
 * be had, the same is asked of the journey and of the HTTP side without sockets.
 */
import { describe, expect, test } from "bun:test";
import { COUNT } from "../../src/counters/counters.ts";
import { HASH, open, openTracker, QUERY } from "../http/fixture.ts";
import { limitsOf } from "../limits/fixture.ts";
import { announceOf, Desk } from "../udp/fixture.ts";
import { decodeDictionary, type Dictionary } from "./bencode.ts";
import { announceRequest, openDatagrams, randomBytes, readAnnounceAnswer } from "./datagrams.ts";
import { type Environment, SETTINGS, startProcess, startTracker, type Tracker } from "./harness.ts";

const INSIDE = "BUNTRACKER_TEST_NAMESPACE";
const OWN_IPV4 = "198.41.100.7";
const OWN_IPV6 = "2a00::7";
const SETUP =
  "ip link set lo up && " +
  `ip address add ${OWN_IPV4}/32 dev lo && ip address add ${OWN_IPV6}/128 dev lo nodad`;
const MINUTE_MILLISECONDS = 60_000;

/** Runs a command in a namespace that has our addresses. */
function inNamespace(command: string) {
  return Bun.spawnSync(["unshare", "-rn", "sh", "-c", `${SETUP} && ${command}`], {
    env: { ...process.env, [INSIDE]: "1" },
    timeout: MINUTE_MILLISECONDS,
  });
}

const offered = Bun.which("unshare") !== null && Bun.which("ip") !== null;
const inside = process.env[INSIDE] === "1";

if (inside) describeSockets();
else if (offered && inNamespace("true").success) {
  test(
    "in a network namespace of its own all of this holds over sockets",
    () => {
      const { success, stderr } = inNamespace(`exec ${process.execPath} test ${import.meta.path}`);
      expect(success ? "" : stderr.toString()).toBe("");
    },
    MINUTE_MILLISECONDS,
  );
} else describeInProcess();

/** One announce over UDP from an address; the other address is the tracker's. */
async function overUdp(tracker: Tracker, source: string, infoHash: Uint8Array, host = source) {
  using client = await openDatagrams(host, tracker.port, source);
  const connectionId = await client.connect();
  const [answer] = await client.exchange(announceRequest({ connectionId, infoHash, port: 6881 }));
  return readAnnounceAnswer(answer!, source.includes(":") ? 18 : 6);
}

async function overHttp(
  tracker: Tracker,
  host: string,
  infoHash: Uint8Array,
  { port = 6881, extra = "", headers = {} } = {},
): Promise<Dictionary> {
  const escaped = [...infoHash].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
  const query = `info_hash=${escaped}&peer_id=${"p".repeat(20)}&port=${port}&left=1${extra}`;
  const url = `http://${host}:${tracker.port}/announce?${query}`;
  return decodeDictionary(await (await fetch(url, { headers, keepalive: false })).bytes());
}

/** The number of peers counted, in the answer to a peer that is not stored. */
async function counted(tracker: Tracker, infoHash: Uint8Array): Promise<unknown> {
  return (await overHttp(tracker, "127.0.0.1", infoHash, { port: 0 }))["incomplete"];
}

function describeSockets(): void {
  const store = { TRACKER_OWN_ADDRESSES: "store" };
  for (const [name, env] of Object.entries(SETTINGS)) {
    describe(`with ${name}`, () => {
      test("peers of this machine are answered, but not stored, over both transports", () =>
        expect(announceEverywhere(env)).resolves.toEqual([0, 0, 0, 0]));

      test("they are stored if the setting says so", () =>
        expect(announceEverywhere({ ...env, ...store })).resolves.toEqual([1, 2, 3, 4]));
    });
  }

  test("peers at loopback addresses are stored", async () => {
    await using tracker = await startTracker();
    const infoHash = randomBytes(20);
    await overUdp(tracker, "127.0.0.9", infoHash, "127.0.0.1");
    await overUdp(tracker, "::1", infoHash);
    expect(await counted(tracker, infoHash)).toBe(2);
  });

  test("they are not stored either if a proxy or an ip parameter names them", async () => {
    const env = { TRACKER_TRUSTED_PROXIES: "127.0.0.1", TRACKER_ALLOW_IP_PARAMETER: "yes" };
    await using tracker = await startTracker({ env });
    const infoHash = randomBytes(20);
    const proxied = (address: string, extra = "") =>
      overHttp(tracker, "127.0.0.1", infoHash, { extra, headers: { "X-Forwarded-For": address } });
    expect((await proxied(OWN_IPV4))["incomplete"]).toBe(0);
    expect((await proxied("192.0.2.1", `&ip=${OWN_IPV6}`))["incomplete"]).toBe(0);
    expect((await proxied(OWN_IPV4, "&ip=198.41.100.9"))["incomplete"]).toBe(1);
  });

  test("the first one causes one warning, with remedy and without address", async () => {
    const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:6970` };
    await using tracker = await startTracker({ env });
    const infoHash = randomBytes(20);
    for (let i = 0; i < 3; i++) await overUdp(tracker, OWN_IPV4, infoHash);
    await overHttp(tracker, OWN_IPV4, infoHash);
    await tracker.says("TRACKER_OWN_ADDRESSES=store");
    await Bun.sleep(1500);
    expect(tracker.stderr.split("TRACKER_OWN_ADDRESSES")).toHaveLength(2);
    expect(tracker.stderr).not.toContain(OWN_IPV4);
    const metrics = await (await fetch("http://127.0.0.1:6970/metrics")).text();
    expect(metrics).toContain('tracker_own_address_announces_total{transport="udp"} 3\n');
    expect(metrics).toContain('tracker_own_address_announces_total{transport="http"} 1\n');
    expect(metrics).toContain('tracker_warnings_total{warning="own_address"} 1\n');
  });

  test("health and selftest pass for a tracker on such an address", async () => {
    await using tracker = await startTracker({ address: `[${OWN_IPV6}]`, ...addressOnly() });
    const verb = async (...args: string[]) => {
      const address = `[${OWN_IPV6}]:${tracker.port}`;
      const env = { TRACKER_HTTP_ADDRESS: address, TRACKER_UDP_ADDRESS: address };
      const child = startProcess({ args, env });
      return { code: await child.exited(), text: child.stdout };
    };
    expect((await verb("health")).code).toBe(0);
    const { port } = tracker;
    const urls = ["http", "udp"].map((scheme) => `${scheme}://[${OWN_IPV6}]:${port}/announce`);
    const { code, text } = await verb("selftest", ...urls);
    expect(text.split("this machine has that address")).toHaveLength(3);
    expect(code).toBe(0);
  });
}

/** Readiness is checked over loopback, so the tracker listens there too. */
function addressOnly(): { port: number; env: Environment } {
  const both = `[${OWN_IPV6}]:7777,127.0.0.1:7777`;
  return { port: 7777, env: { TRACKER_UDP_ADDRESS: both, TRACKER_HTTP_ADDRESS: both } };
}

/** Peers counted after each of four announces from this machine, which were all answered. */
async function announceEverywhere(env: Environment): Promise<unknown[]> {
  await using tracker = await startTracker({ env });
  const infoHash = randomBytes(20);
  const counts: unknown[] = [];
  for (const source of [OWN_IPV4, OWN_IPV6]) {
    expect((await overUdp(tracker, source, infoHash)).interval).toBeGreaterThan(0);
    counts.push(await counted(tracker, infoHash));
    const host = source === OWN_IPV6 ? `[${source}]` : source;
    const reply = await overHttp(tracker, host, infoHash, { port: 6882 });
    expect(reply["interval"]).toBeGreaterThan(0);
    expect(reply["warning message"]).toBeUndefined();
    counts.push(await counted(tracker, infoHash));
  }
  return counts;
}

function describeInProcess(): void {
  const { limits } = limitsOf({ own: [OWN_IPV4, OWN_IPV6] });

  test("peers of this machine are answered, but not stored, over UDP", () => {
    const desk = new Desk({}, limits);
    for (const from of [OWN_IPV4, OWN_IPV6]) desk.ask(announceOf(desk.id(from)), from);
    expect(desk.counters.row[COUNT.udpOwnAddresses]).toBe(2);
    desk.ask(announceOf(desk.id(), { port: 0 }));
    expect(desk.tracker.reply.leechers).toBe(0);
  });

  test("peers of this machine are answered, but not stored, over HTTP", async () => {
    const { ask, read } = open(openTracker(), {}, () => true, limits);
    for (const from of [OWN_IPV4, OWN_IPV6]) ask(`/announce?${QUERY}`, from);
    const reply = await read(`/announce?info_hash=${HASH}&port=0`);
    expect(reply.get("incomplete")).toBe(0);
  });
}
