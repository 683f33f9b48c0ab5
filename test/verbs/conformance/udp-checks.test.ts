/** Statements on UDP: each check fails where a tracker breaks it. */
import { expect, test } from "bun:test";

import { swarmChecks } from "../../../src/verbs/conformance/swarm-checks.ts";
import { UDP_CHECKS } from "../../../src/verbs/conformance/udp-checks.ts";
import { UDP_FAULTS } from "./faults.ts";
import { eachCanFail } from "./tried.ts";

const shared = swarmChecks("BEP15").map(({ id }) => id);

eachCanFail(
  "udp",
  UDP_CHECKS.filter(({ id }) => !shared.includes(id)),
  UDP_FAULTS,
);

test("each statement has a fault, and each fault a statement", () => {
  expect(Object.keys(UDP_FAULTS).sort()).toEqual(UDP_CHECKS.map(({ id }) => id).sort());
});
