/** Statements on scrapes over HTTP: each check fails where a tracker breaks it. */
import { expect, test } from "bun:test";

import { examineUrls } from "../../../src/verbs/conformance/conformance.ts";
import { SCRAPE_CHECKS } from "../../../src/verbs/conformance/scrape-checks.ts";
import { FakeTracker } from "./fake-tracker.ts";
import { HTTP_FAULTS } from "./faults.ts";
import { eachCanFail, HASTY } from "./tried.ts";

eachCanFail("http", SCRAPE_CHECKS, HTTP_FAULTS);

test("a URL without a scrape leaves them out", async () => {
  await using fake = new FakeTracker();
  const url = (await fake.overHttp()).replace("announce", "tracker");
  const [{ results }] = await examineUrls([url], {
    manners: HASTY,
    only: new Set(["BEP48.files"]),
  });
  expect(results).toMatchObject([{ outcome: "not tried", problem: "the URL has no scrape" }]);
});
