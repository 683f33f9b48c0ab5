/**
 * The conformance suite: a tracker that keeps every statement passes, and each check fails against
 * one that breaks its statement alone. A check that cannot fail is worth nothing.
 */
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";

import {
  examineUrls,
  isConformant,
  type Report,
} from "../../../src/verbs/conformance/conformance.ts";
import { HTTP_CHECKS } from "../../../src/verbs/conformance/http-checks.ts";
import { SCRAPE_CHECKS } from "../../../src/verbs/conformance/scrape-checks.ts";
import type { Manners } from "../../../src/verbs/conformance/statements.ts";
import { WEBSOCKET_CHECKS } from "../../../src/verbs/conformance/websocket-checks.ts";
import { UDP_CHECKS } from "../../../src/verbs/conformance/udp-checks.ts";
import { BROWSER_FAULTS, FakeBrowserTracker } from "./fake-browser-tracker.ts";
import { type Faults, FakeTracker } from "./fake-tracker.ts";
import { HTTP_FAULTS, UDP_FAULTS } from "./faults.ts";

const HASTY: Manners = {
  answer: 300,
  silence: 40,
  pause: 0,
  infoHash: (first = Buffer.alloc(0)) => Buffer.concat([first, randomBytes(20 - first.length)]),
};

function notHeld(reports: readonly Report[]): string[] {
  return reports.flatMap(({ problem, results }) => [
    ...(problem === "" ? [] : [problem]),
    ...results
      .filter(({ outcome }) => outcome !== "held")
      .map(({ id, problem }) => `${id}: ${problem}`),
  ]);
}

const TRANSPORTS = [
  { name: "UDP", checks: UDP_CHECKS, faults: UDP_FAULTS, open: (f: FakeTracker) => f.overUdp() },
  {
    name: "HTTP",
    checks: [...HTTP_CHECKS, ...SCRAPE_CHECKS],
    faults: HTTP_FAULTS,
    open: (f: FakeTracker) => f.overHttp(),
  },
];

for (const { name, checks, faults, open } of TRANSPORTS) {
  describe(`over ${name}`, () => {
    test.each(["127.0.0.1", "::1"])(
      "a tracker at %s that keeps all statements passes",
      async (host) => {
        await using fake = new FakeTracker({}, host);
        const reports = await examineUrls([await open(fake)], HASTY);
        expect(notHeld(reports)).toEqual([]);
        expect(isConformant(reports)).toBe(true);
      },
    );

    test("each statement has a fault, and each fault a statement", () => {
      expect(Object.keys(faults).sort()).toEqual(checks.map(({ id }) => id).sort());
    });

    test.each(checks.map((check) => [check.id, check] as const))(
      "%s fails where it is broken",
      async (id, { family }) => {
        const fault: Faults | undefined = faults[id];
        await using fake = new FakeTracker(fault, family === 6 ? "::1" : "127.0.0.1");
        const [{ results }] = await examineUrls([await open(fake)], HASTY, new Set([id]), false);
        expect(results.map(({ outcome }) => outcome)).toEqual(["broken"]);
      },
    );

    test("nothing that was announced stays", async () => {
      await using fake = new FakeTracker();
      await examineUrls([await open(fake)], HASTY);
      await Bun.sleep(50);
      const left = [...fake.swarms.values()].reduce((sum, { peers }) => sum + peers.size, 0);
      expect(left).toBe(0);
    });
  });
}

describe("over WebSocket", () => {
  test.each(["127.0.0.1", "::1"])(
    "a tracker at %s that keeps all statements passes",
    async (host) => {
      await using fake = new FakeBrowserTracker({}, host);
      const reports = await examineUrls([fake.url], HASTY);
      expect(notHeld(reports)).toEqual([]);
      await Bun.sleep(50);
      expect([...fake.swarms.values()].every(({ size }) => size === 0)).toBe(true);
    },
  );

  test("each statement has a fault, and each fault a statement", () => {
    expect(Object.keys(BROWSER_FAULTS).sort()).toEqual(WEBSOCKET_CHECKS.map(({ id }) => id).sort());
  });

  test.each(WEBSOCKET_CHECKS.map(({ id }) => id))("%s fails where it is broken", async (id) => {
    await using fake = new FakeBrowserTracker(BROWSER_FAULTS[id]);
    const [{ results }] = await examineUrls([fake.url], HASTY, new Set([id]), false);
    expect(results.map(({ outcome }) => outcome)).toEqual(["broken"]);
  });
});
