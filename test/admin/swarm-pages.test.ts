/** Swarms as JSON: which questions are answered, and with what. */
import { describe, expect, test } from "bun:test";

import { answerSwarms, type SwarmSources } from "../../src/admin/swarm-pages.ts";
import { now } from "../../src/host/clock.ts";
import { announce, announceFrom, complete, makeTracker } from "../swarm/fixture.ts";

const hashOf = (infoHash: number): string =>
  "5a".repeat(16) + infoHash.toString(16).padStart(8, "0");

interface Shown {
  swarms: Record<string, unknown>[];
}

function open(changes: Partial<SwarmSources> = {}) {
  const { tracker, store } = makeTracker();
  const sources: SwarmSources = {
    store,
    largest: () => Promise.resolve([]),
    inBrowsers: () => undefined,
    ...changes,
  };
  const ask = async (query: string) => {
    const [status, text] = await answerSwarms(query, sources);
    return { status, text, swarms: status === 200 ? (JSON.parse(text) as Shown).swarms : [] };
  };
  return { tracker, ask };
}

test("a swarm is shown with its counts by family, its rate and its ages", async () => {
  const { tracker, ask } = open();
  announce(tracker, { infoHash: 1, peer: 1, seeder: true }, now());
  announce(tracker, { infoHash: 1, peer: 2 }, now());
  announce(tracker, { infoHash: 1, peer: 2, family: 6 }, now());
  complete(tracker, { infoHash: 1, peer: 3 }, now());
  const { status, swarms } = await ask(`?hash=${hashOf(1).toUpperCase()}`);
  expect(status).toBe(200);
  const [{ announces_per_second: rate, age_seconds: ages, ...rest }] = swarms;
  expect(rest).toEqual({
    info_hash: hashOf(1),
    known: true,
    seeders: 2,
    leechers: 2,
    downloads: 1,
    ipv4: { seeders: 2, leechers: 1 },
    ipv6: { seeders: 0, leechers: 1 },
  });
  // Four peers in five minutes and the begun tick of ten seconds.
  expect(rate).toBeGreaterThanOrEqual(Number((4 / 310).toPrecision(2)));
  expect(rate).toBeLessThanOrEqual(4 / 300 + 0.0001);
  expect(Object.keys(ages as object)).toEqual(["newest", "median", "oldest"]);
});

test("a swarm that is not known has zeros and says so", async () => {
  const { ask } = open();
  const { status, swarms } = await ask(`?hash=${hashOf(9)}`);
  const [{ known, seeders, leechers, downloads, announces_per_second: rate }] = swarms;
  expect([status, known, seeders, leechers, downloads, rate]).toEqual([200, false, 0, 0, 0, 0]);
});

test("peers in browsers are told apart, and make a swarm known", async () => {
  const { ask } = open({ inBrowsers: () => ({ seeders: 1, leechers: 2 }) });
  const [swarm] = (await ask(`?hash=${hashOf(9)}`)).swarms;
  expect(swarm).toMatchObject({ known: true, seeders: 0, websocket: { seeders: 1, leechers: 2 } });
});

test("several hashes are answered in their order; a hybrid magnet link is two", async () => {
  const { ask } = open();
  const link = `magnet:?xt=urn:btih:${hashOf(3)}&xt=urn:btmh:1220${"c".repeat(64)}`;
  const { swarms } = await ask(`?hash=${hashOf(2)}&hash=${encodeURIComponent(link)}`);
  const shown = swarms.map(({ info_hash: hash }) => hash);
  expect(shown).toEqual([hashOf(2), hashOf(3), "c".repeat(40)]);
});

test("top shows as many of the largest as were asked for", async () => {
  const largest = [hashOf(7), hashOf(5), hashOf(6)].map((hash) => hash.toUpperCase());
  const { tracker, ask } = open({ largest: () => Promise.resolve(largest) });
  for (const infoHash of [5, 6, 7]) announce(tracker, { infoHash }, now());
  const { swarms } = await ask("?top=2");
  expect(swarms.map(({ info_hash: hash }) => hash)).toEqual([hashOf(7), hashOf(5)]);
  expect((await open().ask("?top=100")).swarms).toEqual([]);
});

describe("peers", () => {
  test("are shown with addresses=yes, of both families", async () => {
    const { tracker, ask } = open();
    announceFrom(tracker, { address: [203, 0, 113, 9], port: 6881, seeder: true, now: now() });
    const address = [0x20, 1, 0xd, 0xb8];
    announceFrom(tracker, { address, family: 6, port: 51413, now: now() });
    const [swarm] = (await ask(`?hash=${hashOf(1)}&addresses=yes`)).swarms;
    expect(swarm["peers"]).toMatchObject([
      { address: "203.0.113.9", port: 6881, seeder: true },
      { address: "2001:db8::", port: 51413, seeder: false },
    ]);
    const [plain] = (await ask(`?hash=${hashOf(1)}`)).swarms;
    expect(plain["peers"]).toBeUndefined();
  });

  test("are a thousand at most, which all swarms of an answer share", async () => {
    const { tracker, ask } = open();
    for (const infoHash of [1, 2]) {
      for (let peer = 1; peer <= 1500; peer++) announce(tracker, { infoHash, peer }, now());
    }
    const counts = async (query: string) =>
      (await ask(query)).swarms.map(({ peers }) => (peers as unknown[]).length);
    expect(await counts(`?hash=${hashOf(1)}&addresses=yes`)).toEqual([1000]);
    const both = `?hash=${hashOf(1)}&hash=${hashOf(2)}&addresses=yes`;
    expect(await counts(both)).toEqual([500, 500]);
  });
});

test.each([
  ["", "ask for hash, once or several times, or for top"],
  [`?hash=${hashOf(1)}&top=3`, "ask for hash, once or several times, or for top"],
  ["?hash=xyz", '"xyz" is not an info hash: 40 or 64 hexadecimal digits'],
  ["?top=1&top=2", '"top" is given twice'],
  [`?hash=${hashOf(1)}&addresses=yes&addresses=yes`, '"addresses" is given twice'],
  ["?top=0", "top must be a number from 1 to 100"],
  ["?top=101", "top must be a number from 1 to 100"],
  ["?top=1e1", "top must be a number from 1 to 100"],
  ["?top=3&addresses=no", "addresses must be yes, or left out"],
  ["?Hash=1", '"Hash" is unknown: use hash, top, addresses'],
  [`?${`hash=${hashOf(1)}&`.repeat(101)}`, "ask for 100 info hashes at most"],
])("the query %p is refused with a sentence", async (query, sentence) => {
  const { status, text } = await open().ask(query);
  expect([status, text]).toEqual([400, expect.stringContaining(sentence)]);
});
