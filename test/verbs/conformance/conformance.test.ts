/**
 * The conformance suite: trackers that keep every statement pass at both families, what cannot be
 * tried is said, and nothing that was announced stays. That each check can fail is tested beside
 * the tables.
 */
import { describe, expect, test } from "bun:test";

import { examineUrls, isConformant } from "../../../src/verbs/conformance/conformance.ts";
import { FakeBrowserTracker } from "./fake-browser-tracker.ts";
import { FakeTracker } from "./fake-tracker.ts";
import { HASTY, notHeld, open } from "./tried.ts";

describe.each(["http", "udp"] as const)("over %s", (transport) => {
  test.each(["127.0.0.1", "::1"])("a tracker at %s that keeps all passes", async (host) => {
    await using fake = new FakeTracker({}, host);
    const reports = await examineUrls([await open[transport](fake)], HASTY);
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
    expect(notHeld(await examineUrls([fake.url], HASTY))).toEqual([]);
    await Bun.sleep(50);
    expect([...fake.swarms.values()].every(({ size }) => size === 0)).toBe(true);
  },
);

test("a tracker that takes no unknown info hash is tried no further", async () => {
  await using fake = new FakeTracker({ refuses: () => "not on the list" });
  const reports = await examineUrls([await fake.overHttp()], HASTY);
  expect(reports[0].problem).toBe("it is refused: not on the list");
  expect(new Set(reports[0].results.map(({ outcome }) => outcome))).toEqual(new Set(["not tried"]));
  expect(isConformant(reports)).toBe(false);
});

test.each([
  ["nonsense", "it is not a URL"],
  ["udp://127.0.0.1/announce", "it names no port"],
])("%s: %s", async (url, problem) => {
  const reports = await examineUrls([url], HASTY);
  expect(reports).toEqual([{ url, address: "", problem, results: [] }]);
  expect(isConformant(reports)).toBe(false);
});

test("only a broken must makes a tracker fail", async () => {
  const only = new Set(["BEP15.second-peer", "BEP15.numwant-one", "BEP15.not-itself"]);
  await using lax = new FakeTracker({
    ask: (ask) => void (ask.numwant = 50),
    told: (told, ask) => void told.peers.push(ask),
  });
  const shown = await examineUrls([await lax.overUdp()], HASTY, only);
  expect(notHeld(shown).map((line) => line.split(":")[0])).toEqual([
    "BEP15.not-itself",
    "BEP15.numwant-one",
  ]);
  expect(isConformant(shown)).toBe(true);
  await using bad = new FakeTracker({ told: (told) => void (told.peers = []) });
  expect(isConformant(await examineUrls([await bad.overUdp()], HASTY, only, false))).toBe(false);
});
