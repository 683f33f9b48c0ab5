/** A swarm of the running tracker in lines for a terminal. */
import { describe, expect, test } from "bun:test";

import { readSwarms, swarmText } from "../../src/verbs/swarm-report.ts";

const HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
const SWARM = {
  info_hash: HASH,
  known: true,
  seeders: 3,
  leechers: 1,
  downloads: 12,
  ipv4: { seeders: 2, leechers: 1 },
  ipv6: { seeders: 1, leechers: 0 },
  announces_per_second: 0.0133,
};

test("a swarm is a line for each figure", () => {
  const ages = { newest: 45, median: 600, oldest: 1500 };
  const websocket = { seeders: 0, leechers: 2 };
  const peers = [{ address: "203.0.113.9", port: 6881, seeder: true, age_seconds: 45 }];
  expect(swarmText({ ...SWARM, websocket, age_seconds: ages, peers })).toBe(
    [
      HASH,
      "  seeders    3      IPv4 2, IPv6 1",
      "  leechers   1      IPv4 1, IPv6 0",
      "  browsers   2      seeders 0, leechers 2",
      "  downloads  12",
      "  announces  0.0133 a second at least: peers of the last five minutes, each counted once",
      "  last seen  median 10m ago, newest 45s, oldest 25m",
      "  203.0.113.9 6881   seeder, 45s ago",
      "",
    ].join("\n"),
  );
});

test("a swarm without peers says for how long, one that is not known says so", () => {
  expect(swarmText({ ...SWARM, empty_seconds: 3600 })).toContain("  empty      for 1h\n");
  expect(swarmText({ ...SWARM, known: false })).toBe(`${HASH}   not known\n`);
});

describe("an answer", () => {
  test("is read with what it has", () => {
    expect(readSwarms(JSON.stringify({ swarms: [SWARM] }))).toEqual([SWARM]);
  });

  test.each([
    ["no JSON", "<html>"],
    ["no swarms", "{}"],
    ["a count that is no number", JSON.stringify({ swarms: [{ ...SWARM, seeders: "many" }] })],
    ["a count below zero", JSON.stringify({ swarms: [{ ...SWARM, leechers: -1 }] })],
  ])("with %s is not one", (_, text) => {
    expect(readSwarms(text)).toBeUndefined();
  });
});
