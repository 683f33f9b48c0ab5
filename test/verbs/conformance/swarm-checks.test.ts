/** Statements on swarms: each check fails over both transports where a tracker breaks it. */
import { describe } from "bun:test";

import { swarmChecks } from "../../../src/verbs/conformance/swarm-checks.ts";
import { HTTP_FAULTS, UDP_FAULTS } from "./faults.ts";
import { eachCanFail } from "./tried.ts";

describe("over HTTP", () => eachCanFail("http", swarmChecks("BEP3"), HTTP_FAULTS));
describe("over UDP", () => eachCanFail("udp", swarmChecks("BEP15"), UDP_FAULTS));
