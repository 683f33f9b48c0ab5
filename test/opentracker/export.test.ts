import { expect, test } from "bun:test";
import { openExport, type Format, Sink, Swarm, writeRecord } from "../../src/opentracker/export.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { announce, complete, makeTracker } from "../swarm/fixture.ts";
import { rounds, until } from "../until.ts";

const HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";

function record(format: Format): Buffer {
  const swarm = new Swarm();
  swarm.infoHash.setFromHex(HASH);
  swarm.counts.seeders = 258;
  swarm.counts.leechers = 3;
  swarm.counts.downloads = 17;
  swarm.lastMinutes = 29_354_321;
  const sink = new Sink();
  writeRecord(sink, format, swarm);
  return Buffer.from(sink.take());
}

test.each([
  ["txt", "7E9903517DD792130E2A7A1AE9A62CF2DEE3CB80:258:3\n"],
  ["txtp", "7E9903517DD792130E2A7A1AE9A62CF2DEE3CB80:258:3:17\n"],
  ["url", "~%99%03Q%7d%d7%92%13%0e%2az%1a%e9%a6%2c%f2%de%e3%cb%80:258:3\n"],
  ["dump", "7E9903517DD792130E2A7A1AE9A62CF2DEE3CB80:29354321:17\n"],
] as const)("a record in %s is %p", (format, text) => {
  expect(record(format).toString("latin1")).toBe(text);
});

test("a record in bin is 28 bytes, one in ben a dictionary under its info hash", () => {
  expect(record("bin").toString("hex")).toBe(`${HASH}0000010200000003`);
  const dictionary = "d8:completei258e10:downloadedi17e10:incompletei3ee";
  const hash = Buffer.from(HASH, "hex").toString("latin1");
  expect(record("ben").toString("latin1")).toBe(`20:${hash}${dictionary}`);
});

/** An export and its events. */
function opened(tracker: Tracker, format: Format, swarms: number, stallSeconds = 10) {
  const told = { made: 0, over: 0 };
  const stream = openExport(tracker.store, format, swarms, stallSeconds, {
    made: (bytes) => void (told.made += bytes),
    over: () => void (told.over += 1),
  });
  return { stream, told };
}

test("an empty tracker exports no records; in ben an empty dictionary", async () => {
  const { tracker } = makeTracker();
  expect(await new Response(opened(tracker, "txt", 0).stream).text()).toBe("");
  expect(await new Response(opened(tracker, "ben", 0).stream).text()).toBe("d5:filesdee");
});

test("every swarm is exported once, and in ben in ascending order", async () => {
  const { tracker } = makeTracker();
  for (let infoHash = 0; infoHash < 3000; infoHash++) announce(tracker, { infoHash });
  const { stream, told } = opened(tracker, "txt", 3000);
  const lines = (await new Response(stream).text()).trimEnd().split("\n");
  expect(new Set(lines).size).toBe(3000);
  expect(lines).toHaveLength(3000);
  expect(told).toEqual({ made: 3000 * 45, over: 1 });
  const ben = Buffer.from(await new Response(opened(tracker, "ben", 3000).stream).bytes());
  const keys = ben
    .toString("latin1")
    .split("20:")
    .slice(1)
    .map((text) => text.slice(0, 20));
  expect(keys).toHaveLength(3000);
  expect(keys).toEqual(keys.toSorted());
});

test("no chunk is made before the reader asks for it", async () => {
  const { tracker } = makeTracker();
  for (let infoHash = 0; infoHash < 8000; infoHash++) announce(tracker, { infoHash });
  const { stream, told } = opened(tracker, "txt", 8000);
  await rounds(100);
  expect(told.made).toBe(0);
  const reader = stream.getReader();
  const { value } = await reader.read();
  await rounds(100);
  expect(value!.length).toBeGreaterThan(0);
  expect(told.made).toBe(value!.length);
  await reader.cancel();
  expect(told.over).toBe(1);
});

test("the stream of a reader that stalls ends", async () => {
  const { tracker } = makeTracker();
  for (let infoHash = 0; infoHash < 8000; infoHash++) announce(tracker, { infoHash });
  const { stream, told } = opened(tracker, "txt", 8000, 0.05);
  const reader = stream.getReader();
  await reader.read();
  await until(() => told.over === 1);
  await expect(reader.read()).rejects.toThrow("stopped reading");
});

test("the dump has the minute a swarm lost its last peer, or this minute", async () => {
  const { tracker } = makeTracker();
  complete(tracker, { infoHash: 1 });
  announce(tracker, { infoHash: 2 });
  const text = await new Response(opened(tracker, "dump", 2).stream).text();
  const minutes = Math.floor(Date.now() / 60_000);
  for (const line of text.trimEnd().split("\n")) {
    const [, told] = line.split(":").map(Number);
    expect(Math.abs(told! - minutes)).toBeLessThanOrEqual(1);
  }
});
