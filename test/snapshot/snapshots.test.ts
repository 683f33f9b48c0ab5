/** What becomes of the swarms over a restart, and of a file that cannot be used or written. */
import { describe, expect, spyOn, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../../src/host/log.ts";
import { StartError } from "../../src/host/start-error.ts";
import { type LoadSettings, Load, stretchMemory } from "../../src/limits/load.ts";
import { endBytes, headerBytes } from "../../src/snapshot/format.ts";
import { SnapshotReader } from "../../src/snapshot/reader.ts";
import { mustBeWritable, Snapshots } from "../../src/snapshot/snapshots.ts";
import type { Judge } from "../../src/swarm/put-back.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import {
  announce,
  complete,
  DOWNLOADS_TIMEOUT,
  makeMemory,
  makeTracker,
  MIB,
  PEER_TIMEOUT,
  scrape,
  trackerOver,
} from "../swarm/fixture.ts";
import { brokenInvariants } from "../swarm/invariants.ts";
import { ALL, BEGUN, makeFolder, setVersion } from "./fixture.ts";

const LOAD: LoadSettings = { targetRate: 0, interval: 1800, intervalMax: 7200, jitterPercent: 10 };

type Line = [level: string, message: string, fields: object];

/** One run of a tracker that keeps its swarms in `path`. */
class Run {
  readonly lines: Line[] = [];
  readonly tracker: Tracker;
  readonly load: Load;
  readonly snapshots: Snapshots;
  wall = BEGUN;

  constructor(path: string, options: { interval?: number; tracker?: Tracker; wall?: number } = {}) {
    const { interval = 0, tracker = makeTracker(64 * MIB).tracker, wall = BEGUN } = options;
    this.tracker = tracker;
    this.wall = wall;
    this.load = new Load({ ...LOAD, targetRate: 100 }, stretchMemory());
    const told =
      (level: string) =>
      (message: string, fields: object = {}) =>
        void this.lines.push([level, message, fields]);
    const log = { info: told("info"), debug: told("debug"), warn: told("warn") };
    this.snapshots = new Snapshots({
      path,
      intervalSeconds: interval,
      store: tracker.store,
      load: this.load,
      log: log satisfies Pick<Log, "info" | "debug" | "warn">,
      wall: () => this.wall,
    });
  }

  restored(judge = ALL): Line[] {
    this.snapshots.restore(judge);
    expect(brokenInvariants(this.tracker)).toEqual([]);
    return this.lines;
  }
}

/** The time of the store: snapshots are written by the clock of the process. */
const seconds = (): number => performance.now() / 1000;

/** Writes a snapshot of `peers` peers in swarms of two. */
async function keep(path: string, peers = 10): Promise<void> {
  const run = new Run(path);
  for (let peer = 0; peer < peers; peer++) {
    announce(run.tracker, { infoHash: peer >> 1, peer, wanted: 0 }, seconds());
  }
  await run.snapshots.end();
}

const NOTHING = { swarms: 0, peers: 0 };
const UNUSED = "the snapshot is not used, the tracker starts empty";
const BESIDE = "the snapshot is not used, the file beside it is";

describe("a start", () => {
  test("without a file is a first one", () => {
    using folder = makeFolder();
    const [line] = new Run(folder.file).restored();
    expect(line).toEqual([
      "info",
      "there is no snapshot of swarms, the tracker starts empty",
      { file: folder.file },
    ]);
  });

  test("has what the run before it kept, and says how much", async () => {
    using folder = makeFolder();
    await keep(folder.file);
    const run = new Run(folder.file, { wall: BEGUN + 3 });
    const [level, message, fields] = run.restored()[0]!;
    expect([level, message]).toEqual(["info", "swarms restored"]);
    expect(fields).toEqual({
      swarms: 5,
      peers: 10,
      expired: 0,
      refused: 0,
      crowded: 0,
      withoutRoom: 0,
      age: 3,
      seconds: expect.any(Number),
    });
    expect(run.snapshots.figures).toMatchObject({ restoredPeers: 10, restoredSwarms: 5 });
    expect(run.snapshots.figures.keptSeconds).toBeWithin(-1e9, performance.now() / 1000 - 2.9);
    expect(existsSync(folder.file)).toBe(true);
  });

  test("goes on with longer intervals, and keeps the peers that wait", async () => {
    using folder = makeFolder();
    const before = new Run(folder.file);
    before.load.resume(3, 4, 0);
    announce(before.tracker, {}, seconds());
    await before.snapshots.end();
    // Without the factor the peer would be too old.
    const memory = makeMemory(64 * MIB, false, { peerTimeoutMax: 4 * PEER_TIMEOUT });
    const tracker = trackerOver(memory);
    const run = new Run(folder.file, { tracker, wall: BEGUN + 2 * PEER_TIMEOUT });
    run.restored();
    expect(run.load.kept).toBe(4);
    expect(run.load.stretch).toBeCloseTo(3 - (2 * PEER_TIMEOUT) / LOAD.interval, 3);
    expect(run.snapshots.figures.restoredPeers).toBe(1);
  });

  test("passes over what is refused now, and counts it", async () => {
    using folder = makeFolder();
    await keep(folder.file);
    const judge: Judge = {
      maySwarm: (infoHash) => new Uint8Array(infoHash.buffer, infoHash.byteOffset)[19] !== 0,
      mayPeer: (_bytes, _at, _family, port) => port !== 1000 + 3,
    };
    const run = new Run(folder.file);
    run.restored(judge);
    expect(run.lines[0]![2]).toMatchObject({ swarms: 4, peers: 7, refused: 3 });
  });

  test("with less memory restores what fits, and says how much does not", async () => {
    using folder = makeFolder();
    const before = new Run(folder.file);
    for (let infoHash = 0; infoHash < 150_000; infoHash++) {
      announce(before.tracker, { infoHash, peer: infoHash, wanted: 0 }, seconds());
    }
    await before.snapshots.end();
    const run = new Run(folder.file, { tracker: makeTracker(4 * MIB).tracker });
    const [restored, full] = run.restored();
    const { peers, withoutRoom } = restored![2] as { peers: number; withoutRoom: number };
    expect(peers + withoutRoom).toBe(150_000);
    expect(peers).toBeGreaterThan(10_000);
    const remedy = "a larger TRACKER_MEMORY_MAX";
    const message = "not all swarms of the snapshot fit the memory";
    expect(full).toEqual(["warn", message, { peers: withoutRoom, counters: 0, remedy }]);
  });

  test("counts ages from the writing if the clock went back, and all if it jumped", async () => {
    using folder = makeFolder();
    await keep(folder.file);
    const back = new Run(folder.file, { wall: BEGUN - 1e8 });
    expect(back.restored()[0]![2]).toMatchObject({ peers: 10, age: 0 });
    const ahead = new Run(folder.file, { wall: BEGUN + PEER_TIMEOUT + 100 });
    expect(ahead.restored()[0]![2]).toMatchObject({ ...NOTHING, expired: 10 });
  });

  test("deletes a file that is older than every timeout", async () => {
    using folder = makeFolder();
    await keep(folder.file);
    const run = new Run(folder.file, { wall: BEGUN + DOWNLOADS_TIMEOUT + 5 });
    const message = "the snapshot is older than every timeout, it is deleted";
    expect(run.restored()).toEqual([["info", message, { file: folder.file }]]);
    expect(existsSync(folder.file)).toBe(false);
  });

  test("deletes an old file, whatever factor it names", () => {
    using folder = makeFolder();
    const header = headerBytes({ begunSeconds: BEGUN, tickSeconds: 10, stretch: 1, kept: 4e6 });
    writeFileSync(folder.file, Buffer.concat([header, endBytes(0, 0)]), { mode: 0o600 });
    new Run(folder.file, { wall: BEGUN + DOWNLOADS_TIMEOUT + 5 }).restored();
    expect(existsSync(folder.file)).toBe(false);
  });

  test("counts peers and counters apart: of the peers that came, each has one fate", async () => {
    using folder = makeFolder();
    const before = new Run(folder.file);
    for (let infoHash = 0; infoHash < 60_000; infoHash++) {
      const changes = { infoHash, peer: infoHash, wanted: 0 };
      complete(before.tracker, changes, seconds());
      if (infoHash % 2 === 0) announce(before.tracker, { ...changes, event: "stopped" }, seconds());
    }
    await before.snapshots.end();
    const run = new Run(folder.file, { tracker: makeTracker(3 * MIB).tracker });
    const [restored, full] = run.restored();
    const { peers, withoutRoom } = restored![2] as { peers: number; withoutRoom: number };
    expect(peers + withoutRoom).toBe(30_000);
    expect(full![2]).toMatchObject({ peers: withoutRoom });
    let kept = 0;
    for (let infoHash = 0; infoHash < 60_000; infoHash++) kept += scrape(run.tracker, infoHash)[2]!;
    expect((full![2] as { counters: number }).counters).toBe(60_000 - kept);
    expect(kept).toBeLessThan(50_000);
  });

  test("never lowers a counter of downloads, and an import after it raises some", async () => {
    using folder = makeFolder();
    const before = new Run(folder.file);
    for (let peer = 0; peer < 5; peer++) {
      complete(before.tracker, { infoHash: 1, peer }, seconds());
    }
    await before.snapshots.end();
    const run = new Run(folder.file);
    run.restored();
    const { store, request } = run.tracker;
    expect(scrape(run.tracker, 1)[2]).toBe(5);
    store.raiseDownloads(request.infoHashHalves, 3, 0);
    expect(scrape(run.tracker, 1)[2]).toBe(5);
    store.raiseDownloads(request.infoHashHalves, 9, 0);
    expect(scrape(run.tracker, 1)[2]).toBe(9);
  });
});

describe("a file that cannot be used is told once, with what helps:", () => {
  const cases: [name: string, make: (file: string) => void, reason: string][] = [
    ["no bytes", (file) => writeFileSync(file, "", { mode: 0o600 }), "is no snapshot of swarms"],
    [
      "one that is cut",
      (file) => writeFileSync(file, readFileSync(file).subarray(0, -3), { mode: 0o600 }),
      "is damaged at byte",
    ],
  ];

  test.each(cases)("%s", async (_name, make, reason) => {
    using folder = makeFolder();
    await keep(folder.file);
    make(folder.file);
    const run = new Run(folder.file);
    const [[level, message, fields]] = run.restored() as [Line];
    expect([level, message, run.lines.length]).toEqual(["warn", UNUSED, 1]);
    expect((fields as { reason: string }).reason).toContain(reason);
    expect((fields as { remedy: string }).remedy).not.toBe("");
    // The next snapshot takes its place.
    announce(run.tracker, {}, seconds());
    await run.snapshots.end();
    expect(statSync(folder.file).mode & 0o777).toBe(0o600);
    expect(new Run(folder.file).restored()[0]![2]).toMatchObject({ peers: 1 });
  });

  const others: [name: string, make: (file: string) => void, reason: string][] = [
    ["foreign bytes", (file) => writeFileSync(file, "my notes", { mode: 0o600 }), "is no snapshot"],
    [
      "foreign bytes that others may change",
      (file) => (writeFileSync(file, "x"), chmodSync(file, 0o666)),
      "is no snapshot",
    ],
    ["a folder", (file) => mkdirSync(file), "cannot be read (it is not a file)"],
  ];

  test.each(others)("%s, which may be of others and is left alone", async (_name, make, reason) => {
    using folder = makeFolder();
    make(folder.file);
    const { ino } = statSync(folder.file);
    const run = new Run(folder.file);
    const [[level, message, fields], empty] = run.restored() as [Line, Line];
    expect([level, message]).toEqual(["warn", BESIDE]);
    expect((fields as { reason: string }).reason).toContain(reason);
    expect(empty[2]).toEqual({ file: `${folder.file}.v1` });
    announce(run.tracker, {}, seconds());
    await run.snapshots.end();
    expect(statSync(folder.file).ino).toBe(ino);
    expect(new Run(folder.file).restored()[1]![2]).toMatchObject({ peers: 1 });
  });

  test("one that others may write to, which can still be used after chmod 600", async () => {
    using folder = makeFolder();
    await keep(folder.file);
    chmodSync(folder.file, 0o660);
    const run = new Run(folder.file);
    const [[level, message, fields]] = run.restored() as [Line];
    expect([level, message]).toEqual(["warn", BESIDE]);
    expect(fields).toEqual({
      reason: `others may write to ${folder.file}`,
      file: `${folder.file}.v1`,
      remedy: `it is left alone: chmod 600 ${folder.file} and start again, or move it away`,
    });
    announce(run.tracker, {}, seconds());
    await run.snapshots.end();
    const beside = new Run(folder.file);
    expect(beside.restored()[1]![2]).toMatchObject({ peers: 1 });
    expect(beside.lines.some(([, line]) => line.includes("empty"))).toBe(false);
    chmodSync(folder.file, 0o600);
    expect(new Run(folder.file).restored()[1]![2]).toMatchObject({ peers: 10 });
  });

  test("foreign bytes under both names, so that the start ends", () => {
    using folder = makeFolder();
    for (const end of ["", ".v1"]) writeFileSync(`${folder.file}${end}`, "my notes");
    expect(() => new Run(folder.file).restored()).toThrow("is no snapshot of swarms, too");
  });

  test("one of a later version, which is left alone", async () => {
    using folder = makeFolder();
    const later = headerBytes({ begunSeconds: BEGUN, tickSeconds: 10, stretch: 1, kept: 1 });
    setVersion(later, 3);
    writeFileSync(folder.file, later, { mode: 0o600 });
    const run = new Run(folder.file);
    const [[level, message, fields], empty] = run.restored() as [Line, Line];
    expect([level, message]).toEqual(["warn", BESIDE]);
    const reason = `${folder.file} is of format 3, this version reads 1 and 2`;
    expect(fields).toEqual({ reason, file: `${folder.file}.v1`, remedy: expect.any(String) });
    expect(empty[2]).toEqual({ file: `${folder.file}.v1` });
    announce(run.tracker, {}, seconds());
    await run.snapshots.end();
    expect(readFileSync(folder.file).equals(later)).toBe(true);
    expect(readdirSync(folder.path).toSorted()).toEqual(["swarms", "swarms.v1"]);
    // Another start of this version goes on with its own file.
    const again = new Run(folder.file);
    expect(again.restored()[1]![2]).toMatchObject({ peers: 1 });
  });
});

describe("a snapshot that was written beside the file", () => {
  /** A folder whose file is of others, with 10 peers, and where a run has kept 1 peer beside it. */
  async function besideForeign(wall = BEGUN + 60) {
    const folder = makeFolder();
    await keep(folder.file);
    chmodSync(folder.file, 0o660);
    const run = new Run(folder.file, { wall });
    run.restored();
    announce(run.tracker, { infoHash: 100 }, seconds());
    await run.snapshots.end();
    return folder;
  }
  const TOO = "the snapshot beside the file is used, too";

  test("is used when the file is moved away, and goes with the next", async () => {
    using folder = await besideForeign();
    rmSync(folder.file);
    const run = new Run(folder.file, { wall: BEGUN + 90 });
    const [beside, restored] = run.restored();
    expect(beside).toEqual(["info", TOO, { file: `${folder.file}.v1` }]);
    expect(restored![2]).toMatchObject({ peers: 1, age: 30 });
    expect(readdirSync(folder.path)).toEqual(["swarms.v1"]);
    await run.snapshots.end();
    expect(readdirSync(folder.path)).toEqual(["swarms"]);
    expect(new Run(folder.file).restored()[0]![2]).toMatchObject({ peers: 1 });
  });

  test.each([
    ["later", 60, [1, 11], 30],
    ["earlier", -60, [10, 11], 90],
  ])(
    "and is %s is restored with the file, once that can be used",
    async (_when, at, peers, age) => {
      using folder = await besideForeign(BEGUN + at);
      chmodSync(folder.file, 0o600);
      const run = new Run(folder.file, { wall: BEGUN + 90, interval: 300 });
      const [, ...restored] = run.restored();
      expect(restored.map(([, , fields]) => (fields as { peers: number }).peers)).toEqual(peers);
      expect(run.snapshots.figures).toMatchObject({ restoredPeers: 11, restoredSwarms: 6 });
      expect(run.snapshots.figures.keptSeconds).toBeCloseTo(performance.now() / 1000 - age, 0);
      await run.snapshots.end();
      expect(readdirSync(folder.path)).toEqual(["swarms"]);
      expect(new Run(folder.file).restored()[0]![2]).toMatchObject({ peers: 11 });
    },
  );

  test("is used where the file is damaged", async () => {
    using folder = await besideForeign();
    writeFileSync(folder.file, readFileSync(folder.file).subarray(0, -3));
    chmodSync(folder.file, 0o600);
    const run = new Run(folder.file, { wall: BEGUN + 90 });
    const [[level, message, fields], restored] = run.restored() as [Line, Line];
    expect([level, message]).toEqual(["warn", BESIDE]);
    expect(fields).toMatchObject({ reason: expect.stringContaining("is damaged at byte") });
    expect(restored[2]).toMatchObject({ peers: 1 });
  });

  test("is deleted if it is older than every timeout", async () => {
    using folder = await besideForeign();
    rmSync(folder.file);
    const run = new Run(folder.file, { wall: BEGUN + DOWNLOADS_TIMEOUT + 100 });
    const message = "the snapshot is older than every timeout, it is deleted";
    expect(run.restored()).toEqual([["info", message, { file: `${folder.file}.v1` }]]);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test.each([
    ["swarms.v1", "swarms"],
    ["swarms", "swarms.v1"],
  ])("is no other one where %s is a link to %s", async (link, target) => {
    using folder = makeFolder();
    await keep(join(folder.path, target));
    symlinkSync(target, join(folder.path, link));
    const run = new Run(folder.file);
    expect(run.restored().map(([, message]) => message)).toEqual(["swarms restored"]);
    await run.snapshots.end();
    expect(new Run(folder.file).restored()[0]![2]).toMatchObject({ peers: 10 });
    // Nor where the file is damaged, so that it is not clear what it is.
    writeFileSync(folder.file, readFileSync(folder.file).subarray(0, -3));
    const next = new Run(folder.file);
    expect(next.restored().map(([, message]) => message)).toEqual([UNUSED]);
    await next.snapshots.end();
    expect(existsSync(folder.file)).toBe(true);
  });

  test("goes, too, if it is damaged: it may hold addresses", async () => {
    using folder = await besideForeign();
    chmodSync(folder.file, 0o600);
    const beside = `${folder.file}.v1`;
    writeFileSync(beside, readFileSync(beside).subarray(0, -3));
    const run = new Run(folder.file, { wall: BEGUN + 90 });
    expect(run.restored().map(([, message]) => message)).toEqual(["swarms restored"]);
    await run.snapshots.end();
    expect(readdirSync(folder.path)).toEqual(["swarms"]);
  });

  test("is neither used nor deleted if it is something else", async () => {
    using folder = makeFolder();
    await keep(folder.file);
    writeFileSync(`${folder.file}.v1`, "my notes");
    const run = new Run(folder.file);
    expect(run.restored().map(([, message]) => message)).toEqual(["swarms restored"]);
    await run.snapshots.end();
    expect(readFileSync(`${folder.file}.v1`, "utf8")).toBe("my notes");
  });
});

describe("the first snapshot", () => {
  /** The seconds it waits, within the tenth by which intervals differ. */
  async function waits(path: string, age: number, interval: number, judge = ALL) {
    const run = new Run(path, { interval, wall: BEGUN + age });
    run.restored(judge);
    const timers = spyOn(globalThis, "setTimeout");
    const random = spyOn(Math, "random").mockReturnValue(0.5);
    run.snapshots.begin();
    const seconds = (timers.mock.calls[0]![1] as number) / 1000;
    timers.mockRestore();
    random.mockRestore();
    await run.snapshots.end();
    return seconds;
  }

  test.each([
    [0, 300, 300],
    [200, 300, 100],
    [295, 300, 5],
    [299, 300, 1],
    [500, 300, 1],
    [1000, 300, 10],
    [1000, 5, 5],
    [-500, 300, 10],
  ])("with a file of %i s and an interval of %i s waits %i s", async (age, interval, expected) => {
    using folder = makeFolder();
    await keep(folder.file);
    expect(await waits(folder.file, age, interval)).toBeCloseTo(expected, 0);
  });

  test("without a file waits a second: a crash would lose all", async () => {
    using folder = makeFolder();
    expect(await waits(folder.file, 0, 300)).toBe(1);
  });

  test("waits 10 s where peers were left out, or the file is damaged", async () => {
    using folder = makeFolder();
    await keep(folder.file);
    const refuse = { ...ALL, mayPeer: () => false };
    expect(await waits(folder.file, 400, 300, refuse)).toBe(10);
    writeFileSync(folder.file, readFileSync(folder.file).subarray(0, -1), { mode: 0o600 });
    expect(await waits(folder.file, 400, 300)).toBe(10);
  });

  test("waits 10 s where the file could not be read to its end", async () => {
    using folder = makeFolder();
    await keep(folder.file);
    const cut = { ...ALL, mayPeer: () => (truncateSync(folder.file, 200), true) };
    expect(await waits(folder.file, 400, 300, cut)).toBe(10);
  });
});

describe("while it runs", () => {
  test("the swarms are written again and again, and once more at the end", async () => {
    using folder = makeFolder();
    const run = new Run(folder.file, { interval: 0.02 });
    run.snapshots.begin();
    announce(run.tracker, {}, seconds());
    while (run.snapshots.figures.written < 3) await Bun.sleep(5);
    expect(run.lines.every(([level]) => level === "debug")).toBe(true);
    announce(run.tracker, { peer: 2 }, seconds());
    await run.snapshots.end();
    const { figures } = run.snapshots;
    expect(run.lines.at(-1)).toEqual([
      "info",
      "swarms written to the snapshot",
      { peers: 2, bytes: figures.bytes, seconds: figures.durationSeconds },
    ]);
    expect(figures).toMatchObject({ peers: 2, bytes: statSync(folder.file).size, failed: 0 });
    const { written } = figures;
    await Bun.sleep(60);
    expect(figures.written).toBe(written);
  });

  test("it is written again soon after the clock was set, forward or back", async () => {
    using folder = makeFolder();
    const run = new Run(folder.file, { interval: 300, wall: 1000 });
    announce(run.tracker, {}, seconds());
    using looks = spyOn(globalThis, "setInterval");
    run.snapshots.begin();
    const [look, milliseconds] = looks.mock.calls[0] as unknown as [() => void, number];
    expect(milliseconds).toBe(10_000);
    while (run.snapshots.figures.written < 1) await Bun.sleep(5);
    // A machine without a battery starts in 1970; a minute later its clock is right.
    let written = 1;
    for (const wall of [BEGUN, BEGUN + 2.5, BEGUN - 1e6, BEGUN]) {
      run.wall = wall;
      look();
      look();
      while (run.snapshots.figures.written === written) await Bun.sleep(5);
      expect(run.snapshots.figures.written).toBe((written += 1));
      const reader = SnapshotReader.open(folder.file)!;
      reader.close();
      expect(reader.header.begunSeconds).toBe(Math.floor(wall));
    }
    const told = run.lines.filter(([level]) => level === "info");
    const message = "the clock was set, the snapshot is written again";
    expect(told.map(([, line]) => line)).toEqual(Array<string>(4).fill(message));
    expect(told[2]![2]).toEqual({ seconds: -1_000_003 });
    // A file with the right time outlives a crash; one of 1970 would be too old.
    expect(new Run(folder.file).restored()[0]![2]).toMatchObject({ peers: 1, age: 0 });
    await run.snapshots.end();
  });

  test("a clock that was set while the file was written is noticed, too", async () => {
    using folder = makeFolder();
    const run = new Run(folder.file, { interval: 300, wall: 1000 });
    using looks = spyOn(globalThis, "setInterval");
    using timers = spyOn(globalThis, "setTimeout");
    run.snapshots.begin();
    const [look] = looks.mock.calls[0] as unknown as [() => void];
    const [write] = timers.mock.calls[0] as unknown as [() => void];
    write();
    run.wall = BEGUN;
    // Not beside the writing: after it.
    look();
    while (run.snapshots.figures.written < 1) await Bun.sleep(5);
    look();
    while (run.snapshots.figures.written < 2) await Bun.sleep(5);
    await run.snapshots.end();
  });

  test("a clock that is corrected little by little is none that was set", async () => {
    using folder = makeFolder();
    const run = new Run(folder.file, { interval: 300 });
    using looks = spyOn(globalThis, "setInterval");
    run.snapshots.begin();
    const [look] = looks.mock.calls[0] as unknown as [() => void];
    while (run.snapshots.figures.written < 1) await Bun.sleep(5);
    using timers = spyOn(globalThis, "setTimeout");
    for (run.wall of [BEGUN + 1.9, BEGUN - 0.5, BEGUN]) look();
    expect(timers).not.toHaveBeenCalled();
    await run.snapshots.end();
    run.wall = 1000;
    look();
    expect(timers).not.toHaveBeenCalled();
  });

  test("nothing is written before the end if the interval is 0", async () => {
    using folder = makeFolder();
    const run = new Run(folder.file);
    run.snapshots.begin();
    await Bun.sleep(50);
    expect(existsSync(folder.file)).toBe(false);
    await run.snapshots.end();
    expect(existsSync(folder.file)).toBe(true);
  });

  test("the end gives up a writing that goes on, and has the latest peers", async () => {
    using folder = makeFolder();
    const run = new Run(folder.file, { interval: 0.001 });
    for (let infoHash = 0; infoHash < 100_000; infoHash++) {
      announce(run.tracker, { infoHash, wanted: 0 }, seconds());
    }
    run.snapshots.begin();
    while (!existsSync(`${folder.file}.new`)) await Bun.sleep(1);
    announce(run.tracker, { infoHash: 200_000 }, seconds());
    await run.snapshots.end();
    expect(run.snapshots.figures).toMatchObject({ written: 1, failed: 0, peers: 100_001 });
  });
});

describe("a snapshot that cannot be written", () => {
  test("leaves the one before, is told once in a row, and is tried again", async () => {
    using folder = makeFolder();
    await keep(folder.file);
    const before = readFileSync(folder.file);
    const run = new Run(folder.file, { interval: 0.01 });
    run.restored();
    run.lines.length = 0;
    mkdirSync(`${folder.file}.new`);
    run.snapshots.begin();
    while (run.snapshots.figures.failed < 3) await Bun.sleep(2);
    expect(readFileSync(folder.file).equals(before)).toBe(true);
    const message = "a snapshot could not be written, the one before stays";
    expect(run.lines.map(([level, line]) => [level, line])).toEqual([["warn", message]]);
    rmSync(`${folder.file}.new`, { recursive: true });
    while (run.snapshots.figures.written === 0) await Bun.sleep(2);
    mkdirSync(`${folder.file}.new`);
    const { failed } = run.snapshots.figures;
    while (run.snapshots.figures.failed === failed) await Bun.sleep(2);
    expect(run.lines.filter(([, line]) => line === message)).toHaveLength(2);
    await run.snapshots.end();
  });

  test("is always told at the end, with the peers that are lost", async () => {
    using folder = makeFolder();
    const run = new Run(folder.file, { interval: 0.01 });
    mkdirSync(`${folder.file}.new`);
    announce(run.tracker, {}, seconds());
    run.snapshots.begin();
    while (run.snapshots.figures.failed < 2) await Bun.sleep(2);
    await run.snapshots.end();
    expect(run.lines.map(([level, line]) => [level, line])).toEqual([
      ["warn", "a snapshot could not be written, and no earlier one exists"],
      ["warn", "the last snapshot could not be written, and no earlier one exists"],
    ]);
    expect(run.lines.at(-1)![2]).toMatchObject({ peers: 1 });
  });

  test.each(["write", "sync"] as const)(
    "because the disk fails in %s leaves no draft",
    async (call) => {
      using folder = makeFolder();
      await keep(folder.file);
      const before = readFileSync(folder.file);
      const handle = await open(folder.file);
      const calls = Object.getPrototypeOf(handle) as FileHandle;
      await handle.close();
      const failure = Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
      const failing = spyOn(calls, call === "write" ? "writeFile" : "sync").mockRejectedValue(
        failure,
      );
      const run = new Run(folder.file);
      await run.snapshots.end();
      failing.mockRestore();
      const [level, message, fields] = run.lines[0]!;
      expect([level, message]).toEqual([
        "warn",
        "the last snapshot could not be written, and no earlier one exists",
      ]);
      expect(fields).toMatchObject({ reason: "EIO", remedy: expect.stringContaining("dmesg") });
      expect(readdirSync(folder.path)).toEqual(["swarms"]);
      expect(readFileSync(folder.file).equals(before)).toBe(true);
      await run.snapshots.end();
      expect(run.snapshots.figures).toMatchObject({ failed: 1, written: 1 });
    },
  );

  test("because the disk is full leaves no draft, and says what helps", async () => {
    using folder = makeFolder();
    const disk = join(folder.path, "disk");
    mkdirSync(disk);
    const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
    // Only root can make a small disk.
    if (mount.exitCode !== 0) return;
    try {
      const file = join(disk, "swarms");
      await keep(file);
      const run = new Run(file);
      for (let n = 0; n < 10_000; n++) announce(run.tracker, { infoHash: n }, seconds());
      await run.snapshots.end();
      const remedy = expect.stringContaining("make room");
      const fields = { file, peers: 10_000, reason: "ENOSPC", remedy };
      expect(run.lines[0]![2]).toEqual(fields);
      expect(readdirSync(disk)).toEqual(["swarms"]);
      expect(new Run(file).restored()[0]![2]).toMatchObject({ peers: 10 });
    } finally {
      Bun.spawnSync(["umount", disk]);
    }
  });

  test("because the folder is gone is not said to leave one before", async () => {
    using folder = makeFolder();
    const inner = join(folder.path, "inner");
    mkdirSync(inner);
    const file = join(inner, "swarms");
    await keep(file);
    const run = new Run(file);
    run.restored();
    rmSync(inner, { recursive: true });
    await run.snapshots.end();
    const message = "the last snapshot could not be written, and no earlier one exists";
    expect(run.lines.at(-1)!.slice(0, 2)).toEqual(["warn", message]);
  });

  test("because a folder has the name of its draft says so", async () => {
    using folder = makeFolder();
    mkdirSync(`${folder.file}.new`);
    const run = new Run(folder.file);
    await run.snapshots.end();
    const remedy = expect.stringContaining("a folder has the name of the draft");
    expect(run.lines[0]![2]).toMatchObject({ remedy });
  });

  test("because of its folder ends the start, with a sentence", () => {
    using folder = makeFolder();
    const problemOf = (path: string): string => {
      try {
        mustBeWritable(path);
        return "";
      } catch (error) {
        if (!(error instanceof StartError)) throw error;
        expect([error.exitCode, error.hint === ""]).toEqual([78, false]);
        return error.message;
      }
    };
    expect(problemOf(folder.file)).toBe("");
    const lost = join(folder.path, "no", "swarms");
    expect(problemOf(lost)).toBe(`TRACKER_SNAPSHOT_FILE is ${lost}, whose folder does not exist`);
    writeFileSync(folder.file, "");
    expect(problemOf(join(folder.file, "swarms"))).toContain("whose folder does not exist");
    // The draft has .new behind the name.
    expect(problemOf(join(folder.path, "x".repeat(251)))).toBe("");
    expect(problemOf(join(folder.path, "x".repeat(252)))).toContain("written (ENAMETOOLONG)");
    const fixed = join(folder.path, "fixed");
    mkdirSync(fixed, { mode: 0o500 });
    const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", fixed]);
    const root = mount.exitCode === 0;
    const problem = problemOf(join(fixed, "swarms"));
    if (root) Bun.spawnSync(["umount", fixed]);
    // A folder that is a mount stands for a file that is one.
    expect(problemOf("/proc")).toBe(
      "TRACKER_SNAPSHOT_FILE is /proc, which cannot be written (EBUSY)",
    );
    expect(problem).toEndWith(`/swarms, which cannot be written (${root ? "EROFS" : "EACCES"})`);
  });
});
