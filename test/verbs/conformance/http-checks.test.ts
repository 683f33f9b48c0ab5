/** Statements on announces over HTTP: each check fails where a tracker breaks it. */
import { expect, test } from "bun:test";

import { CONNECTION_CHECKS } from "../../../src/verbs/conformance/connection-checks.ts";
import { HTTP_CHECKS } from "../../../src/verbs/conformance/http-checks.ts";
import { SCRAPE_CHECKS } from "../../../src/verbs/conformance/scrape-checks.ts";
import { swarmChecks } from "../../../src/verbs/conformance/swarm-checks.ts";
import { HTTP_FAULTS } from "./faults.ts";
import { eachCanFail } from "./tried.ts";

const elsewhere = [...swarmChecks("BEP3"), ...CONNECTION_CHECKS].map(({ id }) => id);

eachCanFail(
  "http",
  HTTP_CHECKS.filter(({ id }) => !elsewhere.includes(id)),
  HTTP_FAULTS,
);

test("each statement has a fault, and each fault a statement", () => {
  const ids = [...HTTP_CHECKS, ...SCRAPE_CHECKS].map(({ id }) => id);
  expect(Object.keys(HTTP_FAULTS).sort()).toEqual(ids.sort());
});
