/** Statements on HTTP connections: each check fails where a tracker breaks it. */
import { CONNECTION_CHECKS } from "../../../src/verbs/conformance/connection-checks.ts";
import { HTTP_FAULTS } from "./faults.ts";
import { eachCanFail } from "./tried.ts";

eachCanFail("http", CONNECTION_CHECKS, HTTP_FAULTS);
