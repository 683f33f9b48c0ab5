/** Runs checks in a hurry, against trackers on this machine. */
import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";

import { examineUrls, type Report } from "../../../src/verbs/conformance/conformance.ts";
import { letters, type Manners } from "../../../src/verbs/conformance/statements.ts";
import { type Faults, FakeTracker } from "./fake-tracker.ts";

/** For trackers that err, where what does not come must be waited for. */
export const HASTY: Manners = {
  answer: 800,
  silence: 100,
  pause: 0,
  whole: 60_000,
  infoHash: (first) => letters(randomBytes(20), first),
};

/** For trackers that answer, on a machine that may be busy. */
export const CALM: Manners = { ...HASTY, answer: 5000 };

export const open = {
  http: (fake: FakeTracker) => fake.overHttp(),
  udp: (fake: FakeTracker) => fake.overUdp(),
};

/** What did not hold, as sentences. */
export function notHeld(reports: readonly Report[]): string[] {
  return reports.flatMap(({ problem, results }) => [
    ...(problem === "" ? [] : [problem]),
    ...results
      .filter(({ outcome }) => outcome !== "held")
      .map(({ id, problem }) => `${id}: ${problem}`),
  ]);
}

/** The outcomes of one check at a tracker with a fault, which hinders no other check. */
export async function outcomesOf(url: string, id: string): Promise<string[]> {
  const [{ results }] = await examineUrls([url], {
    manners: HASTY,
    only: new Set([id]),
    meets: false,
  });
  return results.map(({ outcome }) => outcome);
}

interface Row {
  id: string;
  family?: 4 | 6;
}

/** Each check fails where a tracker breaks its statement. */
export function eachCanFail(
  transport: keyof typeof open,
  checks: readonly Row[],
  faults: Record<string, Faults>,
): void {
  test.each(checks.map((check) => [check.id, check] as const))(
    "%s fails where it is broken",
    async (id, { family }) => {
      const fault: Faults | undefined = faults[id];
      expect(fault).toBeDefined();
      await using fake = new FakeTracker(fault, family === 6 ? "::1" : "127.0.0.1");
      expect(await outcomesOf(await open[transport](fake), id)).toEqual(["broken"]);
    },
  );
}
