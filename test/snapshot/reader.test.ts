/** Which files are read, and with which sentence the others are refused. */
import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chunkBytes, endBytes, headerBytes } from "../../src/snapshot/format.ts";
import { SnapshotReader, Unusable } from "../../src/snapshot/reader.ts";
import { takeCensus } from "../../src/swarm/census.ts";
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
import { makeFolder, readInto, setVersion, write } from "./fixture.ts";

/** The snapshot of a small tracker that has a record of each kind. */
let whole: Buffer;
beforeAll(async () => {
  using folder = makeFolder();
  const { tracker, store } = makeTracker();
  complete(tracker, { infoHash: 1, peer: 1 });
  announce(tracker, { infoHash: 1, peer: 2 });
  announce(tracker, { infoHash: 2, peer: 3, family: 6, seeder: true });
  complete(tracker, { infoHash: 3, peer: 1 });
  announce(tracker, { infoHash: 3, peer: 1, event: "stopped" });
  await write(store, folder.file);
  whole = readFileSync(folder.file);
});

/** Reads these bytes into a tracker; returns the sentence they are refused with, or "". */
function refusalOf(bytes: Uint8Array, tracker = makeTracker(16 * MIB).tracker): string {
  using folder = makeFolder();
  writeFileSync(folder.file, bytes, { mode: 0o600 });
  try {
    readInto(tracker.store, folder.file);
    return "";
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    expect(error.remedy).not.toBe("");
    expect(takeCensus(tracker.store.memory).swarms).toBe(0);
    return error.message.replace(folder.file, "FILE");
  }
}

test("the file as it was written is read", () => {
  expect(refusalOf(whole)).toBe("");
});

test("a file with any byte changed is refused, and nothing of it is used", () => {
  const { tracker } = makeTracker(16 * MIB);
  for (let at = 0; at < whole.length; at++) {
    for (const bit of [0x01, 0x80]) {
      const bytes = Uint8Array.from(whole);
      bytes[at] ^= bit;
      const sentence = refusalOf(bytes, tracker);
      if (at < 8) expect(sentence).toBe("FILE is no snapshot of swarms");
      else expect(sentence).toMatch(/^FILE is damaged at byte \d+$/);
    }
  }
});

test("a file that is cut at any length is refused", () => {
  const { tracker } = makeTracker(16 * MIB);
  for (let length = 0; length < whole.length; length++) {
    const sentence = refusalOf(whole.subarray(0, length), tracker);
    if (length < 8) expect(sentence).toBe("FILE is no snapshot of swarms");
    else expect(sentence).toMatch(/^FILE is damaged at byte \d+$/);
  }
});

test("bytes behind the end are damage, whatever they are", () => {
  expect(refusalOf(Buffer.concat([whole, Buffer.alloc(1)]))).toBe(
    `FILE is damaged at byte ${whole.length}`,
  );
  expect(refusalOf(Buffer.concat([whole, whole]))).toContain("is damaged");
});

test.each([0, 3, 0xffffffff])(
  "a file of version %d is left alone, if its crc is right",
  (version) => {
    const bytes = Uint8Array.from(whole);
    setVersion(bytes, version);
    expect(refusalOf(bytes)).toBe(`FILE is of format ${version}, this version reads 1 and 2`);
    bytes[12] ^= 1;
    expect(refusalOf(bytes)).toBe("FILE is damaged at byte 0");
  },
);

/** A file with this chunk, whose crcs are right. */
function forged(records: Uint8Array, totals = { records: 1, peers: 0 }, tickSeconds = 10): Buffer {
  const header = headerBytes({ begunSeconds: 0, tickSeconds, stretch: 1, kept: 1 });
  const end = endBytes(totals.records, totals.peers);
  return Buffer.concat([header, chunkBytes(0, 0, records), records, end]);
}

describe("with right crcs", () => {
  const record = () => {
    const bytes = new Uint8Array(42);
    bytes[20] = 1;
    bytes[24] = 1;
    bytes.set([1, 2, 3, 4, 5, 6], 34);
    return bytes;
  };

  test("a sound record is read", () => {
    expect(refusalOf(forged(record(), { records: 1, peers: 1 }))).toBe("");
  });

  test.each([
    ["more peers than its chunk holds", 24, 2],
    ["more downloads than a counter", 23, 0x80],
  ])("a record with %s is damage", (_name, at, byte) => {
    const bytes = record();
    bytes[at] = byte;
    expect(refusalOf(forged(bytes, { records: 1, peers: 1 }))).toBe("FILE is damaged at byte 48");
  });

  test("other totals are damage at the end", () => {
    for (const totals of [
      { records: 2, peers: 1 },
      { records: 1, peers: 2 },
    ]) {
      expect(refusalOf(forged(record(), totals))).toBe("FILE is damaged at byte 90");
    }
  });

  test("half a record is damage", () => {
    expect(refusalOf(forged(record().subarray(0, 20)))).toBe("FILE is damaged at byte 48");
  });

  test("a tick of no length is damage", () => {
    expect(refusalOf(forged(record(), { records: 1, peers: 1 }, 0))).toContain("byte 0");
  });
});

describe("a file is not read if", () => {
  const reasonOf = (path: string): string => {
    try {
      SnapshotReader.open(path)?.close();
      return "";
    } catch (error) {
      return (error as Unusable).message.replace(path, "FILE");
    }
  };

  test("there is none", () => {
    using folder = makeFolder();
    expect(SnapshotReader.open(folder.file)).toBeUndefined();
    expect(SnapshotReader.open(join(folder.path, "no", "folder"))).toBeUndefined();
  });

  test("it is no plain file", () => {
    using folder = makeFolder();
    mkdirSync(folder.file);
    expect(reasonOf(folder.file)).toBe("FILE cannot be read (it is not a file)");
    expect(reasonOf("/dev/zero")).toContain("it is not a file");
  });

  test("it is a pipe, for whose writer it does not wait", () => {
    using folder = makeFolder();
    Bun.spawnSync(["mkfifo", folder.file]);
    expect(reasonOf(folder.file)).toBe("FILE cannot be read (it is not a file)");
  });

  test.each([0o620, 0o602, 0o666])("others may write to it: mode %o", (mode) => {
    using folder = makeFolder();
    writeFileSync(folder.file, whole);
    chmodSync(folder.file, mode);
    expect(reasonOf(folder.file)).toBe("others may write to FILE");
  });

  test.if(process.getuid!() === 0)("another user owns it, who does not own its folder", () => {
    using folder = makeFolder();
    writeFileSync(folder.file, whole, { mode: 0o600 });
    chownSync(folder.file, 4242, 4242);
    expect(reasonOf(folder.file)).toBe("another user owns FILE");
    const opens = (user?: number): boolean => {
      const reader = SnapshotReader.open(folder.file, user);
      reader?.close();
      return reader !== undefined;
    };
    // The user that root becomes, and the one who could replace it anyway.
    expect(opens(4242)).toBe(true);
    chownSync(folder.path, 4242, 4242);
    expect(opens()).toBe(true);
  });

  test("it is a circle of links", () => {
    using folder = makeFolder();
    symlinkSync(folder.file, folder.file);
    expect(reasonOf(folder.file)).toBe("FILE cannot be read (ELOOP)");
  });

  test.if(process.getuid!() !== 0)("the user may not read it", () => {
    using folder = makeFolder();
    writeFileSync(folder.file, whole, { mode: 0o200 });
    expect(reasonOf(folder.file)).toBe("FILE cannot be read (EACCES)");
  });
});

describe("ages are counted", () => {
  const restored = (elapsed: number, peerTimeout = PEER_TIMEOUT) => {
    using folder = makeFolder();
    writeFileSync(folder.file, whole, { mode: 0o600 });
    const tracker = trackerOver(makeMemory(32 * MIB, false, { peerTimeout }));
    const { counts } = readInto(tracker.store, folder.file, elapsed, 1);
    expect(brokenInvariants(tracker)).toEqual([]);
    const downloads = [1, 2, 3].map((infoHash) => scrape(tracker, infoHash)[2]);
    return { peers: counts.peers, expired: counts.expired, downloads };
  };

  test("from the moment of the writing; peers and counters have their own timeouts", () => {
    expect(restored(0)).toEqual({ peers: 3, expired: 0, downloads: [1, 0, 1] });
    expect(restored(PEER_TIMEOUT)).toMatchObject({ peers: 3 });
    const late = PEER_TIMEOUT + 20;
    expect(restored(late)).toEqual({ peers: 0, expired: 3, downloads: [1, 0, 1] });
    expect(restored(DOWNLOADS_TIMEOUT + 100)).toMatchObject({ peers: 0, downloads: [0, 0, 0] });
  });

  test("as none, where the clock has gone back", () => {
    expect(restored(-100_000)).toEqual({ peers: 3, expired: 0, downloads: [1, 0, 1] });
  });

  test("by the timeout of today", () => {
    expect(restored(PEER_TIMEOUT - 10, 60)).toMatchObject({ peers: 0, expired: 3 });
    expect(restored(PEER_TIMEOUT + 20, 3600)).toMatchObject({ peers: 3, expired: 0 });
  });
});

test("a file that changes between the passes keeps what is sound", () => {
  using folder = makeFolder();
  writeFileSync(folder.file, whole, { mode: 0o600 });
  const reader = SnapshotReader.open(folder.file)!;
  reader.verify();
  expect(reader.totals).toEqual({ records: 3, peers: 3 });
  writeFileSync(folder.file, whole.subarray(0, 100));
  expect(() => reader.verify()).toThrow("is damaged at byte 100");
  reader.close();
});
