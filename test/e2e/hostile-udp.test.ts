/**
 * Hostile datagrams against the compiled binary: cut, huge, from invalid addresses, in floods; and
 * the guarantees of connection ids. An honest client is served throughout.
 */
import { describe, expect, test } from "bun:test";
import {
  announceRequest,
  concat,
  connectRequest,
  openDatagrams,
  randomBytes,
  readAnnounceAnswer,
} from "./datagrams.ts";
import { flood } from "../soak/flood.ts";
import { startTracker, type Tracker } from "./harness.ts";
import { RAW_SOCKETS, sendFrom } from "../soak/raw-ip.ts";

const HALF_MINUTE_MILLISECONDS = 30_000;
const TRANSACTION = Uint8Array.fromHex("c0ffee01");

/** The largest payload of UDP over IPv4. [RFC 768, RFC 791] */
const DATAGRAM_SIZE_MAX = 65_507;

function scrapeRequest(connectionId: Uint8Array, ...hashes: Uint8Array[]): Uint8Array {
  return concat(connectionId, Uint8Array.fromHex("00000002"), TRANSACTION, ...hashes);
}

/** Lengths of the answers to each beginning of a datagram, as runs: `from..to:length`. */
async function answersToBeginnings(tracker: Tracker, make: (id: Uint8Array) => Uint8Array) {
  using client = await openDatagrams("127.0.0.1", tracker.port);
  const whole = make(await client.connect());
  const runs: { from: number; to: number; length: number }[] = [];
  for (let size = 0; size <= whole.length; size++) {
    const answers = await client.exchange(whole.slice(0, size));
    const length = answers.reduce((sum, answer) => sum + answer.length, 0);
    const last = runs.at(-1);
    if (last?.length === length) last.to = size;
    else runs.push({ from: size, to: size, length });
  }
  return runs.map(({ from, to, length }) => `${from}..${to}:${length}`);
}

describe.each([
  ["a UDP worker", "1"],
  ["UDP in the event loop", "0"],
])("with %s", (_name, workers) => {
  const env = { TRACKER_UDP_WORKERS: workers };

  test("every beginning of a packet gets the answer of its length, or no answer", async () => {
    await using tracker = await startTracker({ env });
    const connect = await answersToBeginnings(tracker, () =>
      concat(connectRequest(TRANSACTION), new Uint8Array(4)),
    );
    expect(connect).toEqual(["0..15:0", "16..20:16"]);
    const announce = await answersToBeginnings(tracker, (connectionId) =>
      concat(
        announceRequest({ connectionId, infoHash: randomBytes(20), port: 6881, event: 2 }),
        Uint8Array.fromHex("0205612f623f6302ff"),
      ),
    );
    expect(announce).toEqual(["0..97:0", "98..107:20"]);
    const scrape = await answersToBeginnings(tracker, (id) =>
      scrapeRequest(id, randomBytes(20), randomBytes(20), randomBytes(20)),
    );
    expect(scrape).toEqual(["0..15:0", "16..35:8", "36..55:20", "56..75:32", "76..76:44"]);
  });

  test("datagrams of 64 KiB are answered by their beginning", async () => {
    await using tracker = await startTracker({ env });
    using client = await openDatagrams("127.0.0.1", tracker.port);
    const id = await client.connect();
    const filled = (start: Uint8Array, filler: number): Uint8Array => {
      const datagram = new Uint8Array(DATAGRAM_SIZE_MAX).fill(filler);
      datagram.set(start);
      return datagram;
    };
    const lengths = async (datagram: Uint8Array) =>
      (await client.exchange(datagram)).map((answer) => answer.length);
    const announce = announceRequest({ connectionId: id, infoHash: randomBytes(20), port: 1 });
    expect(await lengths(filled(connectRequest(TRANSACTION), 0))).toEqual([16]);
    for (const option of [0, 1, 2, 255])
      expect(await lengths(filled(announce, option))).toEqual([20]);
    expect(await lengths(filled(scrapeRequest(id), 7))).toEqual([8 + 12 * 74]);
    expect(await lengths(randomBytes(DATAGRAM_SIZE_MAX))).toEqual([]);
  });

  test(
    "clients that disappear before their answer do not affect an honest one",
    async () => {
      await using tracker = await startTracker({ env });
      using honest = await openDatagrams("127.0.0.1", tracker.port);
      const id = await honest.connect();
      for (let round = 0; round < 100; round++) {
        for (let i = 0; i < 5; i++) {
          using gone = await openDatagrams("127.0.0.1", tracker.port, "127.0.0.9");
          gone.send(connectRequest(randomBytes(4)));
        }
        const announce = announceRequest({ connectionId: id, infoHash: randomBytes(20), port: 9 });
        expect(await honest.exchange(announce)).toHaveLength(1);
      }
    },
    HALF_MINUTE_MILLISECONDS,
  );

  if (RAW_SOCKETS) {
    test("senders that cannot be answered have no effect", async () => {
      await using tracker = await startTracker({ env });
      using honest = await openDatagrams("127.0.0.1", tracker.port);
      const lines = tracker.stderr.split("\n").length;
      const sources = ["127.0.0.9", "0.0.0.0", "127.255.255.255", "224.0.0.1", "127.0.0.1"];
      let sent = 0;
      for (let i = 0; i < 200; i++) {
        for (const source of sources) {
          const port = i % 2 === 0 ? 0 : 1 + i;
          if (sendFrom(source, port, tracker.port, connectRequest(randomBytes(4))) > 0) sent += 1;
        }
      }
      expect(sent).toBeGreaterThanOrEqual(400);
      expect(await honest.connect()).toHaveLength(8);
      expect(tracker.stderr.split("\n").length).toBe(lines);
    });
  }

  test("an unproven address never gets more bytes than it sent", async () => {
    await using tracker = await startTracker({ env });
    using client = await openDatagrams("127.0.0.1", tracker.port);
    const id = await client.connect();
    using other = await openDatagrams("127.0.0.1", tracker.port, "127.0.0.7");
    let answered = 0;
    for (let i = 0; i < 1500; i++) {
      const datagram = randomBytes(Math.floor(Math.random() * 1500));
      const start = [connectRequest(TRANSACTION), scrapeRequest(id), new Uint8Array(8)][i % 3]!;
      datagram.set(start.subarray(0, Math.min(start.length, datagram.length)));
      if (datagram.length >= 12) datagram[11] = i % 5;
      const answers = await other.exchange(datagram);
      const bytes = answers.reduce((sum, answer) => sum + answer.length, 0);
      expect(bytes).toBeLessThanOrEqual(datagram.length);
      answered += answers.length;
    }
    expect(answered).toBeGreaterThan(50);
  });
});

describe("a connection id", () => {
  const announceWith = (connectionId: Uint8Array): Uint8Array =>
    announceRequest({ connectionId, infoHash: randomBytes(20), port: 6881 });

  test("is valid for every port of its address, and for no other address", async () => {
    await using tracker = await startTracker();
    using first = await openDatagrams("127.0.0.1", tracker.port, "127.0.0.5");
    const id = await first.connect();
    using samePlace = await openDatagrams("127.0.0.1", tracker.port, "127.0.0.5");
    using elsewhere = await openDatagrams("127.0.0.1", tracker.port, "127.0.0.6");
    using otherFamily = await openDatagrams("::1", tracker.port);
    const answer = (await samePlace.exchange(announceWith(id)))[0]!;
    expect(readAnnounceAnswer(answer, 6).leechers).toBe(1);
    expect(await elsewhere.exchange(announceWith(id))).toEqual([]);
    expect(await otherFamily.exchange(announceWith(id))).toEqual([]);
  });

  test("is invalid with one bit flipped", async () => {
    await using tracker = await startTracker();
    using client = await openDatagrams("127.0.0.1", tracker.port);
    const id = await client.connect();
    for (let bit = 0; bit < 64; bit++) {
      const flipped = id.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(await client.exchange(announceWith(flipped))).toEqual([]);
    }
    expect(await client.exchange(announceWith(id))).toHaveLength(1);
  });

  test("stays valid after a restart with the same secret only", async () => {
    const secret = { TRACKER_UDP_SECRET: "correct horse battery staple and more" };
    const other = { TRACKER_UDP_SECRET: "correct horse battery stable and more" };
    const answersAfter = async (before: Record<string, string>, after: Record<string, string>) => {
      const first = await startTracker({ env: before });
      const { port } = first;
      using client = await openDatagrams("127.0.0.1", port);
      const id = await client.connect();
      await first.stop();
      await using second = await startTracker({ env: after, port });
      expect(second.running).toBe(true);
      return (await client.exchange(announceWith(id))).length;
    };
    expect(await answersAfter(secret, secret)).toBe(1);
    expect(await answersAfter(secret, other)).toBe(0);
    expect(await answersAfter({}, {})).toBe(0);
  });
});

describe.each([
  ["a UDP worker", "1"],
  ["two UDP workers", "2"],
  ["UDP in the event loop", "0"],
])("with %s", (_name, workers) => {
  test.each(["garbage", "huge"] as const)(
    "honest clients and HTTP are served during a flood of datagrams: %s",
    async (kind) => {
      await using tracker = await startTracker({ env: { TRACKER_UDP_WORKERS: workers } });
      const flooding = flood(tracker.port, 3, kind);
      await Bun.sleep(500);
      const { asked, answered, waits } = await goOn(tracker, 2000);
      expect(await flooding).toBeGreaterThan(kind === "huge" ? 1000 : 10_000);
      expect(answered / asked).toBeGreaterThan(0.9);
      // UDP in the event loop may keep HTTP waiting to the end of the flood, which the README says.
      // One in ten may wait for a processor that others use: one of 726 ms was seen.
      const slow = waits.sort((a, b) => a - b)[Math.floor(0.9 * waits.length)]!;
      expect(slow).toBeLessThan(workers === "0" ? 4000 : 500);
      // What is left of the flood is still before it, for longer where others use the processors.
      using after = await openDatagrams("127.0.0.1", tracker.port);
      let id: Uint8Array | undefined;
      for (let tries = 0; tries < 10 && id === undefined; tries++) {
        id = await after.connect(1000).catch(() => undefined);
      }
      expect(id).toHaveLength(8);
    },
    HALF_MINUTE_MILLISECONDS,
  );
});

/** Announces over both transports for a while, each after the other; what came of it, in ms. */
async function goOn(tracker: Tracker, milliseconds: number) {
  using honest = await openDatagrams("127.0.0.1", tracker.port);
  let [asked, answered] = [0, 0];
  const waits: number[] = [];
  for (const end = performance.now() + milliseconds; performance.now() < end; asked++) {
    const id = await honest.connect(250).catch(() => undefined);
    if (id !== undefined) {
      honest.send(announceRequest({ connectionId: id, infoHash: randomBytes(20), port: 9 }));
      const reply = await honest.receive(250).catch(() => undefined);
      if (reply !== undefined) answered += 1;
    }
    const start = performance.now();
    expect((await fetch(`http://127.0.0.1:${tracker.port}/health`)).status).toBe(200);
    waits.push(performance.now() - start);
  }
  return { asked, answered, waits };
}
