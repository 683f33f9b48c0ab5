/** The verb `plan` on the command line. */
import { expect, test } from "bun:test";
import { cpus } from "node:os";
import { readConfig } from "../../src/config/config.ts";
import { planVerb, type PlanVerbOptions } from "../../src/verbs/plan-verb.ts";
import { cli } from "./run-cli.ts";

const reading = readConfig({});
if ("problems" in reading) throw new Error(reading.problems.join());
const { config } = reading;

const MEASURED = { udp: { micros: 5, rate: 200_000 }, http: { micros: 50, rate: 20_000 } };

async function plan(options: PlanVerbOptions, measure = () => Promise.resolve(MEASURED)) {
  let [stdout, stderr] = ["", ""];
  const output = {
    stdout: (text: string) => void (stdout += text),
    stderr: (text: string) => void (stderr += text),
  };
  const code = await planVerb(options, config, output, measure);
  return { code, stdout, stderr };
}

test("a table by default, with figures of the results", async () => {
  const { code, stdout } = await cli(["plan", "--announces=8500", "--transports=http"]);
  expect(code).toBe(0);
  expect(stdout).toStartWith("  peers");
  expect(stdout).toContain("15,300,000");
  expect(stdout).toContain("measured by make compare (20");
});

test("HTTPS that one thread cannot carry gets HTTP workers", async () => {
  const { code, stdout } = await cli(["plan", "--announces=20000", "--transports=https"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/\nSet:\n[^]*\n {2}TRACKER_HTTP_WORKERS +[1-9]\d*\n/);
});

test("JSON with --format=json, with the question and the notes", async () => {
  const { code, stdout } = await cli(["plan", "--peers=1M", "--nodes=2", "--format=json"]);
  const { here, question, plan: made, notes } = JSON.parse(stdout) as Record<string, unknown>;
  expect([code, here]).toEqual([0, undefined]);
  expect(question).toMatchObject({ peers: 1_000_000, nodes: 2 });
  expect(made).toMatchObject({ all: { peers: 1_000_000 }, node: { peers: 1_000_000 } });
  expect(notes).toContainEqual(expect.stringMatching(/^Trackers of a cluster share their peers/));
});

test("a mistake is one sentence; an option of another verb is not understood", async () => {
  const { code, stdout, stderr } = await cli(["plan", "--peers=lots"]);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toBe(
    'buntracker: error: --peers is "lots", which is not a number: write 8500, 8.5k or 15M\n' +
      "buntracker: hint: such as: buntracker plan --peers=15M --transports=udp:80,http:20\n",
  );
  for (const argv of [
    ["plan", "--addresses"],
    ["check", "--peers=1"],
    ["plan", "1M"],
    ["plan", "--peers"],
    ["plan", "--peers=1", "--format=xml"],
  ]) {
    expect((await cli(argv)).code).toBe(2);
  }
});

test("a plan that does not fit fails, and says why", async () => {
  const { code, stdout } = await cli(["plan", "--peers=1G"]);
  expect(code).toBe(1);
  expect(stdout).toContain("It does not fit: the peers are more than one tracker stores");
  for (const [peers, fits] of [
    ["1G", false],
    ["1M", true],
  ] as const) {
    const json = (await cli(["plan", `--peers=${peers}`, "--format=json"])).stdout;
    expect(JSON.parse(json)).toMatchObject({ fits });
  }
});

test("--here says what one thread carries, and plans with that", async () => {
  const { code, stdout } = await plan({ here: true });
  expect(code).toBe(0);
  expect(stdout).toContain(
    "  UDP   5 µs of processor time a request: 100,000 announces a second at most, 108 million ",
  );
  expect(stdout).toContain("  HTTP  50 µs of processor time a request: 20,000 announces a second");
  const planned = await plan({ here: true, announces: "1000", format: "json" });
  const { here, plan: made, notes } = JSON.parse(planned.stdout) as Record<string, unknown>;
  expect(here).toMatchObject({
    udp: { announces_per_second: 100_000 },
    http: { peers: 21_600_000 },
  });
  expect(made).toMatchObject({
    all: { processor_cores: { udp: 0.01 } },
    processors_here: cpus().length,
  });
  expect((notes as string[])[0]).toContain("requests measured here, on ");
});

test("a measurement that fails is a sentence", async () => {
  const failing = () => Promise.reject(new Error("the tracker that was started does not answer"));
  const { code, stderr } = await plan({ here: true }, failing);
  expect([code, stderr]).toEqual([
    1,
    "buntracker: error: the tracker that was started does not answer\n",
  ]);
});
