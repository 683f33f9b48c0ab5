import { expect, test } from "bun:test";
import type { Family } from "../../src/constants.ts";
import { Client } from "../../src/gates/client.ts";
import { Networks, readAddress } from "../../src/net/addresses.ts";
import { COUNT, counterMemory, Counters } from "../../src/counters/counters.ts";
import { notesMemory } from "../../src/notes/notes.ts";
import { Pages, type PagesSettings } from "../../src/opentracker/pages.ts";
import { exchangeOf, responseOf } from "../http/fixture.ts";
import { announce, makeTracker } from "../swarm/fixture.ts";

const SETTINGS: PagesSettings = {
  statsNetworks: ["192.0.2.0/24"],
  fullScrapeNetworks: ["192.0.2.0/24", "198.51.100.0/24"],
  fullScrapeIntervalSeconds: 300,
};

function open(settings: Partial<PagesSettings> = {}) {
  const { tracker, store } = makeTracker();
  const counters = new Counters(counterMemory(1), 0);
  const clock = { now: 10 };
  const pages = new Pages({
    store,
    counters,
    notes: notesMemory(1, { tickSeconds: 45, minimumSeconds: 900 }),
    now: () => clock.now,
    version: "tracker 1.0",
    settings: { ...SETTINGS, ...settings },
  });
  const ask = async (query: string, from = "192.0.2.1", headers: Record<string, string> = {}) => {
    const client = new Client(new Networks([]), "x");
    client.family = readAddress(from, client.address, 0) as Family;
    const exchange = exchangeOf({ target: "/", headers }, pages.bytesMax)!;
    const answer =
      query === "scrape"
        ? pages.answerFullScrape(exchange, client)
        : pages.answer(exchange, query, client);
    return responseOf(exchange, answer);
  };
  const read = async (...args: Parameters<typeof ask>) => (await ask(...args)).text();
  return { tracker, counters, clock, pages, ask, read };
}

test.each([
  ["", "0\n0\nopentracker serving 0 torrents\nopentracker"],
  ["mode=torr", "0\n0\nopentracker serving 0 torrents\nopentracker"],
  ["mode=version", "tracker 1.0\n"],
  ["mode=s24s", "Networks, limit /28:\n\nNetworks, limit /24:\n\nNetworks, limit /48:\n\n"],
  ["mode=woodpeckers", "Networks, limit /28:\n\nNetworks, limit /24:\n\nNetworks, limit /48:\n\n"],
  ["mode=origins", "Top 20 origins by WebSocket connections:\n"],
  ["mode=hosts", "Top 100 hosts by announces:\nTop 100 paths by announces:\n"],
])("?%s is answered", async (query, text) => {
  const { ask } = open();
  const answer = await ask(query);
  expect([answer.status, await answer.text()]).toEqual([200, text]);
});

test.each(["conn", "scrp", "udp4", "tcp4", "fscr", "completed", "syncs", "everything", "top10"])(
  "there is a mode %s",
  async (mode) => {
    expect((await open().ask(`mode=${mode}`)).status).toBe(200);
  },
);

test("histograms have 45 and 201 lines", async () => {
  const { read } = open();
  expect((await read("mode=renew")).split("\n")).toHaveLength(46);
  expect((await read("mode=numwants")).split("\n")).toHaveLength(202);
});

test.each([
  ["mode=busy", "unknown mode: use one of peer, "],
  ["mode=", "unknown mode"],
  ["mode=toString", "unknown mode"],
  ["mode=torr&mode=peer", "mode is given twice\n"],
  ["mode=tpbs&format=txt&format=bin", "format is given twice\n"],
  ["mode=tpbs", "mode=tpbs needs a format: ben, bin, txt, txtp, url\n"],
  ["mode=tpbs&format=dump", "mode=tpbs needs a format"],
  ["mode=tpbs&format=constructor", "mode=tpbs needs a format"],
])("?%s is refused with a sentence", async (query, text) => {
  const answer = await open().ask(query);
  expect(answer.status).toBe(400);
  expect(await answer.text()).toStartWith(text);
});

test("each page has its own networks", async () => {
  const { ask, counters } = open();
  const statusOf = async (query: string, from: string) => (await ask(query, from)).status;
  expect(await statusOf("mode=peer", "198.51.100.1")).toBe(403);
  expect(await statusOf("mode=statedump", "198.51.100.1")).toBe(200);
  expect(await statusOf("mode=tpbs&format=txt", "203.0.113.1")).toBe(403);
  expect(await statusOf("scrape", "2001:db8::1")).toBe(403);
  expect(counters.total("http:forbidden")).toBe(3);
});

test("a network that may see nothing is refused before its query is read", async () => {
  const { ask } = open();
  const Parser = globalThis.URLSearchParams;
  const read: string[] = [];
  globalThis.URLSearchParams = class extends Parser {
    constructor(query: string) {
      super(query);
      read.push(query);
    }
  } as typeof Parser;
  try {
    expect((await ask("a&".repeat(7500), "203.0.113.1")).status).toBe(403);
    expect(read).toEqual([]);
    expect((await ask("mode=peer")).status).toBe(200);
    expect(read).toEqual(["mode=peer"]);
  } finally {
    globalThis.URLSearchParams = Parser;
  }
});

test("a query that is too long is refused", async () => {
  const { read } = open();
  expect(await read(`mode=peer&${"a&".repeat(1000)}`)).toBe("the query is too long\n");
});

test("the text of a mode is made once a second", async () => {
  const { tracker, clock, read } = open();
  const empty = await read("mode=torr");
  announce(tracker, {});
  expect(await read("mode=torr")).toBe(empty);
  clock.now += 1;
  expect(await read("mode=torr")).toContain("serving 1 torrents");
});

test("the result of a walk is kept for some seconds and shared by requests", async () => {
  const { tracker, clock, read } = open();
  const [first, second] = await Promise.all([read("mode=top10"), read("mode=top10")]);
  expect(first).toBe(second);
  announce(tracker, {});
  expect(await read("mode=top10")).toBe(first);
  clock.now += 6;
  expect(await read("mode=top10")).toContain(`\t1\t${"5A".repeat(16)}00000001\n`);
});

test("a network may have each export once in an interval", async () => {
  const { ask, counters, clock } = open();
  expect((await ask("scrape")).status).toBe(200);
  const again = await ask("scrape", "192.0.2.77");
  expect([again.status, again.headers.get("retry-after")]).toEqual([429, "300"]);
  expect((await ask("mode=statedump")).status).toBe(200);
  clock.now += 300;
  expect((await ask("scrape")).status).toBe(200);
  expect([counters.total("httpFullScrapes"), counters.total("http:too_many")]).toEqual([3, 1]);
});

test("the number of exports is limited, and one that ends makes room", async () => {
  const { ask } = open({ fullScrapeIntervalSeconds: 0 });
  const running: Response[] = [];
  for (let i = 0; i < 4; i++) running.push(await ask("scrape"));
  expect((await ask("scrape")).status).toBe(429);
  await running[0]!.text();
  expect((await ask("scrape")).status).toBe(200);
});

test.each([
  ["gzip", (bytes: Uint8Array) => Bun.gunzipSync(bytes as Uint8Array<ArrayBuffer>)],
  ["zstd", (bytes: Uint8Array) => Bun.zstdDecompressSync(bytes as Uint8Array<ArrayBuffer>)],
])("an export comes in %s to who takes it", async (encoding, open_) => {
  const { tracker, ask, counters } = open();
  announce(tracker, {});
  const answer = await ask("mode=tpbs&format=txt", "192.0.2.1", { "Accept-Encoding": encoding });
  expect(answer.headers.get("content-encoding")).toBe(encoding);
  const text = `${"5A".repeat(16)}00000001:0:1\n`;
  expect(new TextDecoder().decode(open_(await answer.bytes()))).toBe(text);
  expect(counters.row[COUNT.httpFullScrapeBytes]).toBe(text.length);
});
