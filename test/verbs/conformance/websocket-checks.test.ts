/** Statements on trackers for browsers: each check fails where a tracker breaks it. */
import { expect, test } from "bun:test";

import { WEBSOCKET_CHECKS } from "../../../src/verbs/conformance/websocket-checks.ts";
import { BROWSER_FAULTS, FakeBrowserTracker } from "./fake-browser-tracker.ts";
import { outcomesOf } from "./tried.ts";

test("each statement has a fault, and each fault a statement", () => {
  expect(Object.keys(BROWSER_FAULTS).sort()).toEqual(WEBSOCKET_CHECKS.map(({ id }) => id).sort());
});

test.each(WEBSOCKET_CHECKS.map(({ id }) => id))("%s fails where it is broken", async (id) => {
  await using fake = new FakeBrowserTracker(BROWSER_FAULTS[id]);
  expect(await outcomesOf(fake.url, id)).toEqual(["broken"]);
});
