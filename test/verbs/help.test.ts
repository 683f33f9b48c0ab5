/** The help of each verb, and which settings it reads. */
import { describe, expect, test } from "bun:test";
import { helpText } from "../../src/verbs/help.ts";
import { cli } from "./run-cli.ts";

describe("VERB --help", () => {
  const verbs = ["check", "config", "health", "top", "cluster", "version", "dns", "plan"];
  const all = [...verbs, "selftest", "swarm", "deny", "allow", "forget", "maintenance"];

  test.each(all)("%s: has what belongs to the verb, and fits a terminal", async (verb) => {
    const { code, stdout } = await cli([verb, "--help"], { TRACKER_X: "not looked at" });
    expect(code).toBe(0);
    expect(stdout).toStartWith(`usage: buntracker ${verb}`);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("is there for each verb that the whole help names", () => {
    const named = helpText().matchAll(/^ {2}([a-z]+)(?: [A-Zo][^ ]*| \|)* {2,}\S/gm);
    expect([...named].map(([, verb]) => verb).sort()).toEqual([...all].sort());
  });

  test("names all options of the verb, and the settings that it reads", async () => {
    const { stdout } = await cli(["plan", "--help"]);
    for (const option of ["peers", "announces", "interval", "transports", "families"]) {
      expect(stdout).toContain(`--${option}=`);
    }
    expect(stdout).toContain("TRACKER_INTERVAL TRACKER_WEBSOCKET_INTERVAL");
    expect(stdout).toContain("8,500");
    expect(stdout).toContain("90,000 packets");
    expect((await cli(["swarm", "--help"])).stdout).toContain("TRACKER_ADMIN_TOKEN_FILE");
    expect((await cli(["swarm", "--help"])).stdout).not.toContain("TRACKER_INTERVAL");
  });

  test("of check names each exit code", async () => {
    const { stdout } = await cli(["check", "--help"]);
    expect(stdout.replaceAll("\n", " ")).toContain(
      "Exit code 0: it would start; 1: it would, but a NATS server refuses it; 78: it would not.",
    );
  });

  test("of a word that is no verb is the whole help", async () => {
    expect((await cli(["serve", "--help"])).stdout).toBe(helpText());
    expect((await cli(["toString", "--help"])).stdout).toBe(helpText());
  });
});

describe("settings that a verb does not read", () => {
  const wrong = { TRACKER_UDP_WORKERS: "many", TRACKER_X: "1", TRACKER_DENY_CLIENTS: "*" };

  test.each([
    ["selftest http://127.0.0.1:1/announce", "http://127.0.0.1:1/announce"],
    ["plan --peers=1M", "  peers"],
    ["dns tracker.example", "; Records for"],
  ])("do not keep %s from its work", async (line, start) => {
    const { stdout, stderr } = await cli(line.split(" "), wrong);
    expect([stdout.slice(0, start.length), stderr]).toEqual([start, ""]);
  });

  test.each(["health", "top", "cluster", `swarm ${"a".repeat(40)}`, "maintenance on"])(
    "do not keep %s from asking",
    async (line) => {
      const addresses = { TRACKER_ADMIN_ADDRESS: "", TRACKER_HTTP_ADDRESS: "127.0.0.1:0" };
      const { code, stderr } = await cli(line.split(" "), { ...wrong, ...addresses });
      expect([code, stderr]).toEqual([1, expect.not.stringContaining("TRACKER_UDP_WORKERS")]);
    },
  );

  test("are told apart from those that it reads, and from their typing mistakes", async () => {
    const swarm = ["swarm", "a".repeat(40)];
    for (const env of [
      { ...wrong, TRACKER_ADMIN_ADDRESS: "here" },
      { ...wrong, TRACKER_ADMIN_ADDRES: "127.0.0.1:1" },
      { ...wrong, TRACKER_ADMIN_TOKEN_FILE: "/nowhere" },
      { ...wrong, BUN_OPTIONS: "--inspect" },
    ]) {
      const { code, stderr } = await cli(swarm, env);
      expect([code, stderr]).toEqual([78, expect.not.stringContaining("TRACKER_UDP_WORKERS")]);
      expect(stderr.match(/error:/g)).toHaveLength(1);
    }
    const { code } = await cli(["check"], wrong);
    expect(code).toBe(78);
  });
});
