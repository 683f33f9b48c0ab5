/**
 * The conformance suite: trackers that keep every statement pass at both families, what cannot be
 * tried is said, and nothing that was announced stays. That each check can fail is tested beside
 * the tables.
 */
import { describe, expect, test } from "bun:test";

import { checksAt, examineUrls, isConformant } from "../../../src/verbs/conformance/conformance.ts";
import { FakeBrowserTracker } from "./fake-browser-tracker.ts";
import { FakeTracker } from "./fake-tracker.ts";
import { CALM, HASTY, notHeld, open } from "./tried.ts";

const hasty = { manners: HASTY };

describe.each(["http", "udp"] as const)("over %s", (transport) => {
  test.each(["127.0.0.1", "::1"])("a tracker at %s that keeps all passes", async (host) => {
    await using fake = new FakeTracker({}, host);
    const reports = await examineUrls([await open[transport](fake)], { manners: CALM });
    expect(notHeld(reports)).toEqual([]);
    expect(isConformant(reports)).toBe(true);
    const left = [...fake.swarms.values()].reduce((sum, { peers }) => sum + peers.size, 0);
    expect(left).toBe(0);
  });
});

test.each(["127.0.0.1", "::1"])(
  "a tracker for browsers at %s that keeps all passes",
  async (host) => {
    await using fake = new FakeBrowserTracker({}, host);
    expect(notHeld(await examineUrls([fake.url], { manners: CALM }))).toEqual([]);
    await Bun.sleep(50);
    expect([...fake.swarms.values()].every(({ size }) => size === 0)).toBe(true);
  },
);

test("a tracker that takes no unknown info hash is tried no further", async () => {
  await using fake = new FakeTracker({ refuses: () => "not on the list" });
  const reports = await examineUrls([await fake.overHttp()], hasty);
  expect(reports[0].problem).toBe("it is refused: not on the list");
  expect(new Set(reports[0].results.map(({ outcome }) => outcome))).toEqual(new Set(["not tried"]));
  expect(isConformant(reports)).toBe(false);
});

test.each([
  ["nonsense", "it is not a URL"],
  ["udp://127.0.0.1/announce", "it names no port"],
])("%s: %s", async (url, problem) => {
  const reports = await examineUrls([url], hasty);
  expect(reports).toEqual([{ url, address: "", problem, results: [] }]);
  expect(isConformant(reports)).toBe(false);
});

test("only a broken must makes a tracker fail", async () => {
  const only = new Set(["BEP15.second-peer", "BEP15.numwant-one", "BEP15.not-itself"]);
  await using lax = new FakeTracker({
    ask: (ask) => void (ask.numwant = 50),
    told: (told, ask) => void told.peers.push(ask),
  });
  const shown = await examineUrls([await lax.overUdp()], { ...hasty, only });
  expect(notHeld(shown).map((line) => line.split(":")[0])).toEqual([
    "BEP15.not-itself",
    "BEP15.numwant-one",
  ]);
  expect(isConformant(shown)).toBe(true);
  await using bad = new FakeTracker({ told: (told) => void (told.peers = []) });
  expect(
    isConformant(await examineUrls([await bad.overUdp()], { ...hasty, only, meets: false })),
  ).toBe(false);
});

test("a tracker that answers no more is asked no more", async () => {
  let asked = 0;
  // Ends at the third announce, as for a crash.
  await using fake = new FakeTracker({
    http: (answer) => void ((asked += 1) > 5 && (answer.silent = true)),
  });
  const only = new Set(["BEP3.status", "BEP3.peers", "BEP3.early", "BEP3.min-interval"]);
  const [{ results }] = await examineUrls([await fake.overHttp()], { ...hasty, only });
  const fallen = results.findIndex(({ outcome }) => outcome === "broken");
  expect(results[fallen].problem).toEndWith("; then the tracker answers no more");
  expect(results.slice(fallen + 1).every(({ outcome }) => outcome === "not tried")).toBe(true);
  expect(results.length).toBe(4);
  expect(fallen).toBeLessThan(3);
});

test("each report is told as soon as it is there", async () => {
  const heard: string[] = [];
  await examineUrls(["one", "two"], { ...hasty, heard: ({ url }) => void heard.push(url) });
  expect(heard).toEqual(["one", "two"]);
});

test("what ends or burdens some trackers is not sent to public addresses", async () => {
  const run = () => Promise.resolve();
  const checks = [
    { id: "a", weight: "must", says: "", run } as const,
    { id: "b", weight: "must", says: "", run, risky: true } as const,
  ];
  const outcomes = (address: string) =>
    Promise.all(checksAt(checks, address).map((one) => one.run({}).catch(String)));
  expect(await outcomes("127.0.0.1")).toEqual([undefined, undefined] as never);
  const [mild, risky] = await outcomes("8.8.8.8");
  expect(mild).toBeUndefined();
  expect(risky).toContain("it ends or burdens some trackers");
});

test("checks of the other family are left out", () => {
  const run = () => Promise.resolve();
  const checks = [4, 6, undefined].map((family) => {
    return { id: String(family), weight: "must", says: "", run, family } as const;
  }) as Parameters<typeof checksAt>[0][number][];
  expect(checksAt(checks, "::1").map(({ id }) => id)).toEqual(["6", "undefined"]);
  expect(checksAt(checks, "127.0.0.1", new Set(["4"])).map(({ id }) => id)).toEqual(["4"]);
});

test("a tracker that is too slow is not asked all", async () => {
  await using fake = new FakeTracker();
  const manners = { ...HASTY, whole: -1 };
  const [{ problem, results }] = await examineUrls([await fake.overUdp()], { manners });
  expect(problem).toBe("");
  expect(new Set(results.map((result) => `${result.outcome}: ${result.problem}`))).toEqual(
    new Set(["not tried: its answers are so slow that there is no time left"]),
  );
});
