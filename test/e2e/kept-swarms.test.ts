/**
 * Swarms outlive a restart: the compiled binary is ended, or killed, and started again with the
 * same TRACKER_SNAPSHOT_FILE.
 */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RECORDS_BYTES_MAX } from "../../src/snapshot/format.ts";
import { writeSnapshot } from "../../src/snapshot/writer.ts";
import { announce as fillSwarm, makeTracker, MIB } from "../swarm/fixture.ts";
import { decodeDictionary, type Dictionary } from "./bencode.ts";
import { announceRequest, openDatagrams, readAnnounceAnswer } from "./datagrams.ts";
import { type Environment, freePort, startProcess, startTracker } from "./harness.ts";

const CONFIG = 78;
const ROOT = process.getuid?.() === 0;
const NOBODY = 65534;
const SECRET = "0123456789abcdef".repeat(2);

function makeFolder(): Disposable & { file: string; path: string } {
  const path = mkdtempSync(join(tmpdir(), "buntracker-kept-"));
  const remove = () => rmSync(path, { recursive: true });
  return { path, file: join(path, "swarms"), [Symbol.dispose]: remove };
}

/** The info hash of swarm n, escaped; as hexadecimal digits it is n in both. */
const hashOf = (n: number): Uint8Array => new Uint8Array(20).fill(n);
const escaped = (n: number): string => `%${n.toString(16).padStart(2, "0")}`.repeat(20);

interface Announced {
  swarm?: number;
  peerPort?: number;
  left?: number;
  event?: string;
}

async function announce(port: number, options: Announced = {}): Promise<Dictionary> {
  const { swarm = 1, peerPort = 7001, left = 1, event = "" } = options;
  const query = `info_hash=${escaped(swarm)}&peer_id=${"p".repeat(20)}&port=${peerPort}`;
  const url = `http://127.0.0.1:${port}/announce?${query}&left=${left}&event=${event}&compact=1`;
  return decodeDictionary(await (await fetch(url, { keepalive: false })).bytes());
}

/** Seeders, downloads and leechers of swarm n. */
async function scrape(port: number, swarm = 1): Promise<number[]> {
  const url = `http://127.0.0.1:${port}/scrape?info_hash=${escaped(swarm)}`;
  const { files } = decodeDictionary(await (await fetch(url, { keepalive: false })).bytes());
  const [of] = Object.values(files as Dictionary) as [Dictionary];
  return [of["complete"], of["downloaded"], of["incomplete"]] as number[];
}

/** Some peers in two swarms, one of which has a download and no peer left in a third. */
async function fill(port: number): Promise<void> {
  for (let peerPort = 7001; peerPort <= 7010; peerPort++) await announce(port, { peerPort });
  await announce(port, { peerPort: 7001, left: 0, event: "completed" });
  await announce(port, { swarm: 2, left: 0 });
  await announce(port, { swarm: 3 });
  await announce(port, { swarm: 3, left: 0, event: "completed" });
  await announce(port, { swarm: 3, event: "stopped" });
}

const FILLED = [
  [1, 1, 9],
  [1, 0, 0],
  [0, 1, 0],
];

const counts = async (port: number): Promise<number[][]> => [
  await scrape(port, 1),
  await scrape(port, 2),
  await scrape(port, 3),
];

describe.each(["0", "1", "2"])("with %s UDP workers", (workers) => {
  test("all is there after SIGTERM and a start, and after the next one", async () => {
    using folder = makeFolder();
    const env = {
      TRACKER_UDP_WORKERS: workers,
      TRACKER_SNAPSHOT_FILE: folder.file,
      TRACKER_UDP_SECRET: SECRET,
    };
    const port = freePort();
    let id: Uint8Array = new Uint8Array(8);
    using client = await openDatagrams("127.0.0.1", port);
    for (let start = 0; start < 3; start++) {
      await using tracker = await startTracker({ env, port });
      if (start === 0) {
        expect(tracker.stderr).toContain("there is no snapshot of swarms");
        await fill(port);
        id = await client.connect();
      } else {
        expect(tracker.stderr).toContain('msg="swarms restored" swarms=3 peers=11 expired=0');
      }
      expect(await counts(port)).toEqual(FILLED);
      // An id that was given before the restart is good, and its client finds the others.
      const asked = { connectionId: id, infoHash: hashOf(1), port: 7001, left: 0 };
      client.send(announceRequest(asked));
      const { seeders, leechers, peers } = readAnnounceAnswer(await client.receive(), 6);
      expect([seeders, leechers, peers.length]).toEqual([1, 9, 9]);
      await tracker.stop();
      expect(tracker.stderr).toContain('level=info msg="swarms written to the snapshot" peers=11');
      expect(tracker.stderr).not.toMatch(/level=warn msg="(a|the) snapshot/);
      expect(statSync(folder.file).mode & 0o777).toBe(0o600);
    }
  });
});

test("kill -9 loses what came since the last interval, and no more", async () => {
  using folder = makeFolder();
  const env = { TRACKER_SNAPSHOT_FILE: folder.file, TRACKER_SNAPSHOT_INTERVAL: "1s" };
  const first = await startTracker({ env });
  await fill(first.port);
  const written = Date.now();
  while (!existsSync(folder.file) || statSync(folder.file).mtimeMs < written) await Bun.sleep(20);
  first.signal("SIGKILL");
  await first.exited();
  await using second = await startTracker({ env });
  expect(await counts(second.port)).toEqual(FILLED);
});

test("a second signal ends it at once, and leaves a whole file", async () => {
  using folder = makeFolder();
  const { tracker: filled, store } = makeTracker(256 * MIB);
  for (let infoHash = 0; infoHash < 500_000; infoHash++) fillSwarm(filled, { infoHash, wanted: 0 });
  const begunSeconds = Math.floor(Date.now() / 1000);
  const chunk = new Uint8Array(RECORDS_BYTES_MAX);
  const options = { chunk, stretch: 1, kept: 1, turns: false, clock: () => 0 };
  await writeSnapshot({ path: folder.file, store, begunSeconds, ...options });
  const draft = `${folder.file}.new`;
  let hurried = 0;
  for (let attempt = 0; attempt < 5 && hurried === 0; attempt++) {
    const tracker = await startTracker({ env: { TRACKER_SNAPSHOT_FILE: folder.file } });
    tracker.signal("SIGTERM");
    while (!existsSync(draft) && tracker.running) await Bun.sleep(1);
    tracker.signal("SIGINT");
    const code = await tracker.exited();
    if (code === 1) hurried += 1;
    else expect(code).toBe(0);
  }
  expect(hurried).toBe(1);
  await using last = await startTracker({ env: { TRACKER_SNAPSHOT_FILE: folder.file } });
  expect(last.stderr).toContain("swarms=500000 peers=500000");
}, 60_000);

test("metrics, feed and top tell of the snapshots", async () => {
  using folder = makeFolder();
  const adminPort = freePort();
  const env = {
    TRACKER_SNAPSHOT_FILE: folder.file,
    TRACKER_SNAPSHOT_INTERVAL: "1s",
    TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
  };
  const first = await startTracker({ env });
  await fill(first.port);
  await first.stop();
  await using second = await startTracker({ env });
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    return Number(new RegExp(`^tracker_${name} (\\S+)$`, "m").exec(text)?.[1]);
  };
  expect([await metric("restored_peers"), await metric("restored_swarms")]).toEqual([11, 3]);
  while ((await metric('snapshots_total{result="written"}')) === 0) await Bun.sleep(50);
  expect(await metric("snapshot_peers")).toBe(11);
  expect(await metric("snapshot_bytes")).toBe(statSync(folder.file).size);
  expect((await metric("snapshot_timestamp_seconds")) * 1000).toBeWithin(
    Date.now() - 5000,
    Date.now() + 1000,
  );
  const feed = (await (await fetch(`http://127.0.0.1:${second.port}/live`)).json()) as object;
  expect(feed).toMatchObject({ keptSecondsAgo: expect.any(Number) });
  const { TRACKER_ADMIN_ADDRESS } = env;
  await using top = startProcess({ env: { TRACKER_ADMIN_ADDRESS }, args: ["top"] });
  expect(await top.exited()).toBe(0);
  expect(top.stdout).toMatch(/ swarms kept, \d s ago\n/);
});

test("a denied swarm, a denied network and a low port are passed over", async () => {
  using folder = makeFolder();
  const env = { TRACKER_SNAPSHOT_FILE: folder.file };
  const first = await startTracker({ env });
  await fill(first.port);
  await announce(first.port, { swarm: 4, peerPort: 80 });
  await first.stop();
  const deny = join(folder.path, "deny");
  writeFileSync(deny, `${hashOf(1).toHex()}\n`);
  const now = { ...env, TRACKER_DENY_FILE: deny, TRACKER_PORT_MIN: "1024" };
  const second = await startTracker({ env: now });
  expect(second.stderr).toContain("swarms=2 peers=1 expired=0 refused=11 crowded=0 withoutRoom=0");
  expect(await scrape(second.port, 2)).toEqual([1, 0, 0]);
  await second.stop();
  const networks = join(folder.path, "networks");
  writeFileSync(networks, "127.0.0.0/8\n");
  const third = startProcess({
    env: {
      ...env,
      TRACKER_DENY_NETWORKS_FILE: networks,
      TRACKER_UDP_ADDRESS: "",
      TRACKER_HTTP_ADDRESS: `127.0.0.1:${freePort()}`,
      TRACKER_ADMIN_ADDRESS: "",
    },
  });
  await third.says("msg=ready");
  expect(third.stderr).toContain("peers=0 expired=0 refused=1");
  await third.stop();
});

test("counters of an imported state are raised after the snapshot", async () => {
  using folder = makeFolder();
  const env = { TRACKER_SNAPSHOT_FILE: folder.file };
  const first = await startTracker({ env });
  await fill(first.port);
  await first.stop();
  const state = join(folder.path, "state");
  writeFileSync(state, `${hashOf(1).toHex()}:1:100\n${hashOf(3).toHex()}:1:0\n`);
  await using second = await startTracker({ env: { ...env, TRACKER_STATE_IMPORT: state } });
  expect(await counts(second.port)).toEqual([
    [1, 100, 9],
    [1, 0, 0],
    [0, 1, 0],
  ]);
});

test("a damaged file is told once, and the tracker starts empty and replaces it", async () => {
  using folder = makeFolder();
  const env = { TRACKER_SNAPSHOT_FILE: folder.file };
  const first = await startTracker({ env });
  await fill(first.port);
  await first.stop();
  const bytes = readFileSync(folder.file);
  bytes[100]! ^= 1;
  writeFileSync(folder.file, bytes);
  const second = await startTracker({ env });
  const unused =
    /level=warn msg="the snapshot is not used, the tracker starts empty" reason="\S+ is/;
  expect(second.stderr).toMatch(unused);
  expect(await scrape(second.port)).toEqual([0, 0, 0]);
  await announce(second.port);
  await second.stop();
  await using third = await startTracker({ env });
  expect(await scrape(third.port)).toEqual([0, 0, 1]);
});

test("a folder that cannot be written to ends the start, and check says so too", async () => {
  using folder = makeFolder();
  const file = join(folder.path, "none", "swarms");
  const message = `TRACKER_SNAPSHOT_FILE is ${file}, whose folder does not exist`;
  for (const args of [[], ["check"]]) {
    const tracker = startProcess({ env: { TRACKER_SNAPSHOT_FILE: file }, args });
    expect(await tracker.exited()).toBe(CONFIG);
    expect(tracker.stderr).toContain(`buntracker: error: ${message}\nbuntracker: hint: create it`);
  }
});

test("with less memory what fits is restored, and a warning says what is left out", async () => {
  using folder = makeFolder();
  const { tracker: filled, store } = makeTracker(256 * MIB);
  for (let infoHash = 0; infoHash < 600_000; infoHash++) fillSwarm(filled, { infoHash, wanted: 0 });
  const begunSeconds = Math.floor(Date.now() / 1000);
  const chunk = new Uint8Array(RECORDS_BYTES_MAX);
  const options = { chunk, stretch: 1, kept: 1, turns: false, clock: () => 0 };
  await writeSnapshot({ path: folder.file, store, begunSeconds, ...options });
  const env = { TRACKER_SNAPSHOT_FILE: folder.file, TRACKER_MEMORY_MAX: "16MiB" };
  await using tracker = await startTracker({ env });
  const restored = /"swarms restored" swarms=(\d+) peers=(\d+) .* withoutRoom=(\d+)/;
  const [, swarms, peers, left] = restored.exec(tracker.stderr)!.map(Number);
  expect([swarms, peers! + left!]).toEqual([peers, 600_000]);
  expect(peers).toBeGreaterThan(100_000);
  const message = `"not all swarms of the snapshot fit the memory" peers=${left} counters=0`;
  expect(tracker.stderr).toContain(`${message} remedy="a larger TRACKER_MEMORY_MAX"`);
});

/** What a start as this user restores; then one peer more announces, and all is kept. */
async function peersKeptBy(user: number, file: string, peerPort: number): Promise<number> {
  const through = ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"];
  const env: Environment = { TRACKER_SNAPSHOT_FILE: file };
  await using tracker = await startTracker({ env, through });
  expect(tracker.stderr).not.toContain('level=warn msg="the snap');
  await announce(tracker.port, { peerPort });
  await tracker.stop();
  const { uid, mode } = statSync(file);
  expect([uid, mode & 0o777]).toEqual([user, 0o600]);
  return Number(/"swarms restored" swarms=1 peers=(\d+)/.exec(tracker.stderr)?.[1] ?? 0);
}

// systemd cannot run here: its folders are made as it makes them, in a folder for /run.
test.if(ROOT && Bun.which("setpriv") !== null)(
  "a dynamic user keeps the swarms, so does the next one, and the user of a package after it",
  async () => {
    using folder = makeFolder();
    chmodSync(folder.path, 0o755);
    const [whole, link] = [join(folder.path, "private"), join(folder.path, "buntracker")];
    const dynamic = join(whole, "buntracker");
    mkdirSync(dynamic, { recursive: true, mode: 0o755 });
    // With DynamicUser=yes the folder's name is a link of root.
    symlinkSync("private/buntracker", link);
    const file = join(link, "swarms");
    const own = (user: number, path: string): void => {
      for (const each of [path, ...readdirSync(path).map((name) => join(path, name))]) {
        chownSync(each, user, user);
      }
    };
    chmodSync(dynamic, 0o750);
    for (const [kept, user] of [61_184, 61_185].entries()) {
      // At each start systemd gives the folder, and what is in it, to the user of this run.
      own(user, dynamic);
      expect(await peersKeptBy(user, file, 7001 + kept)).toBe(kept);
    }
    // A package has a user of its own: systemd moves the folder to the place of the link.
    rmSync(link);
    renameSync(dynamic, link);
    own(NOBODY, link);
    expect(await peersKeptBy(NOBODY, file, 7003)).toBe(2);
    expect(readdirSync(link)).toEqual(["swarms"]);
  },
);

test.if(ROOT)("the user that root becomes owns the file, or is told that it cannot", async () => {
  using folder = makeFolder();
  chmodSync(folder.path, 0o711);
  const [mine, theirs] = [join(folder.path, "mine"), join(folder.path, "theirs")];
  for (const place of [mine, theirs]) mkdirSync(place, { mode: 0o700 });
  chownSync(theirs, NOBODY, NOBODY);
  const start = async (place: string): Promise<string> => {
    const env: Environment = {
      TRACKER_USER: "nobody",
      TRACKER_SNAPSHOT_FILE: join(place, "swarms"),
    };
    await using tracker = await startTracker({ env });
    await announce(tracker.port);
    await tracker.stop();
    return tracker.stderr;
  };
  const unkept = 'msg="the swarms cannot be kept over a restart"';
  const refused = await start(mine);
  expect(refused).toContain(
    `${unkept} file=${mine}/swarms remedy="let the user \\"nobody\\" write to its folder"`,
  );
  expect(refused).toContain("the last snapshot could not be written, and no earlier one exists");
  expect(await start(theirs)).not.toContain(unkept);
  const { uid, mode } = statSync(join(theirs, "swarms"));
  expect([uid, mode & 0o777]).toEqual([NOBODY, 0o600]);
  expect(await start(theirs)).toContain("swarms=1 peers=1");
});
