import { expect, test } from "bun:test";
import type { Bencoded, Dictionary } from "../e2e/bencode.ts";
import { FakeCore, HASH, HASH_HEX, latin1, open, openTracker, QUERY } from "./fixture.ts";

test("a scrape returns the counts of each swarm once, in the order of the hashes", async () => {
  const core = new FakeCore();
  Object.assign(core.reply, { seeders: 1, leechers: 2, downloads: 3 });
  const [low, high] = ["%00".repeat(20), "%FF".repeat(20)];
  const reply = await open(core).read(
    `/scrape?info_hash=${high}&info_hash=${low}&info_hash=${high}`,
  );
  const counts = { complete: 1, downloaded: 3, incomplete: 2 };
  expect(reply).toEqual(
    new Map<string, Bencoded>([
      ["files", { [latin1("00".repeat(20))]: counts, [latin1("ff".repeat(20))]: counts }],
      ["flags", { min_request_interval: 900 }],
    ]),
  );
  expect(core.calls).toEqual(["00".repeat(20), "ff".repeat(20)]);
});

test("a scrape of more hashes than allowed answers the first ones", async () => {
  const core = new FakeCore();
  const hashes = [1, 2, 3].map((end) => `info_hash=${"%00".repeat(19)}%0${end}`);
  await open(core, { scrapeMax: 2 }).read(`/scrape?${hashes.join("&")}`);
  expect(core.calls).toEqual([`${"00".repeat(19)}01`, `${"00".repeat(19)}02`]);
});

test.each([
  ["/scrape", "info_hash is missing"],
  [
    "/scrape?info_hash=a",
    "info_hash must be 20 bytes: percent-encode the raw hash, not its hexadecimal form",
  ],
])("%s is refused with a sentence", async (target, reason) => {
  const { read, counters } = open(new FakeCore());
  expect(await read(target)).toEqual(new Map([["failure reason", reason]]));
  expect(counters.total("http:query")).toBe(1);
  expect(counters.total("httpScrapesIpv4")).toBe(0);
});

test("scrapes are counted by family, and need no address", async () => {
  const { read, counters } = open(new FakeCore(), { trustedProxies: ["10.0.0.0/8"] });
  for (const from of ["192.0.2.1", "10.0.0.1", null, "2001:db8::1"]) {
    expect((await read(`/scrape?info_hash=${HASH}`, from)).has("files")).toBe(true);
  }
  expect(counters.total("httpScrapesIpv4")).toBe(3);
  expect(counters.total("httpScrapesIpv6")).toBe(1);
});

test("over the real core a scrape shows what was announced, and changes nothing", async () => {
  const { read } = open(openTracker());
  await read(`/announce?${QUERY}&left=7`);
  await read(`/announce?${QUERY}&left=0&event=completed`);
  const unknown = "00".repeat(20);
  const target = `/scrape?info_hash=${HASH}&info_hash=${"%00".repeat(20)}`;
  for (let round = 0; round < 2; round++) {
    const files = (await read(target)).get("files") as Dictionary;
    const counts = (hex: string) => Object.values(files[latin1(hex)] as Dictionary);
    expect(counts(unknown)).toEqual([0, 0, 0]);
    expect(counts(HASH_HEX)).toEqual([1, 1, 0]);
  }
});
