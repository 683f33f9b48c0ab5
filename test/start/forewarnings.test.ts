/** Warnings that follow from the settings and the machine. */
import { describe, expect, test } from "bun:test";
import { readConfig } from "../../src/config/config.ts";
import { forewarn } from "../../src/start/forewarnings.ts";

/** The warnings of a machine with this number of processors, by kind. */
function warningsOf(env: Record<string, string>, processors: number): Map<string, unknown> {
  const reading = readConfig(env);
  if ("problems" in reading) throw new Error(reading.problems.join("; "));
  const told = new Map<string, unknown>();
  const tell = (kind: string, message: string, fields = {}) =>
    void told.set(kind, [message, fields]);
  const machine = { libc: {}, receiveBufferBytes: Infinity, addresses: ["192.0.2.1"], processors };
  forewarn({ tell }, { config: reading.config, ...machine });
  return told;
}

describe("UDP workers", () => {
  const two = { TRACKER_UDP_ADDRESS: "127.0.0.1:6969,127.0.0.2:6969" };

  test("are too many if there are more than processors, for each address has its own", () => {
    const [message, fields] = warningsOf({ ...two, TRACKER_UDP_WORKERS: "3" }, 5).get(
      "workers",
    ) as [string, object];
    expect(message).toBe("there are more UDP workers than processors, which answers no faster");
    expect(fields).toEqual({
      workers: 6,
      processors: 5,
      remedy: "TRACKER_UDP_WORKERS=2: each address has as many",
    });
  });

  test("as many as processors, and the default on any machine, are no reason for a warning", () => {
    expect(warningsOf({ ...two, TRACKER_UDP_WORKERS: "3" }, 6).has("workers")).toBe(false);
    expect(warningsOf(two, 1).has("workers")).toBe(false);
    expect(warningsOf({ ...two, TRACKER_UDP_WORKERS: "0" }, 1).has("workers")).toBe(false);
  });
});

test("an external address has no effect where private addresses are refused", () => {
  const external = { TRACKER_EXTERNAL_ADDRESS: "203.0.113.1" };
  expect(warningsOf(external, 1).has("external_address")).toBe(false);
  const told = warningsOf({ ...external, TRACKER_PRIVATE_ADDRESSES: "refuse" }, 1);
  expect(told.get("external_address")).toEqual([
    "TRACKER_EXTERNAL_ADDRESS has no effect: peers with private addresses are refused",
    { remedy: "TRACKER_PRIVATE_ADDRESSES=accept, or leave TRACKER_EXTERNAL_ADDRESS out" },
  ]);
});

describe("HTTP workers", () => {
  test("are too many if there are more than processors", () => {
    const env = { TRACKER_HTTP_WORKERS: "4" };
    expect(warningsOf(env, 3).get("workers")).toEqual([
      "there are more HTTP workers than processors, which answers no faster",
      { workers: 4, processors: 3, remedy: "TRACKER_HTTP_WORKERS=3" },
    ]);
    expect(warningsOf(env, 4).has("workers")).toBe(false);
    expect(warningsOf({ ...env, TRACKER_HTTP_ADDRESS: "" }, 3).has("workers")).toBe(false);
  });
});
