/** The figures of a plan are those of the results in the tree. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bytesAt, measuredFigures } from "../../src/verbs/bench-figures.ts";

const results = join(import.meta.dir, "../bench/results");
const read = (name: string) => readFileSync(join(results, name), "utf8");

test("requests cost what make compare has measured", () => {
  const { udp, http, kept, source } = measuredFigures();
  const compare = read("compare.txt");
  const row = (name: string) => {
    const line = compare.split("\n").find((one) => one.startsWith(`${name}  `))!;
    return line.slice(name.length).trim().split(/\s+/).map(Number);
  };
  for (const [figures, name] of [
    [udp[4], "buntracker"],
    [udp[6], "buntracker, IPv6"],
    [http, "buntracker, one-shot"],
    [kept, "buntracker, kept"],
  ] as const) {
    const [rate, micros] = row(name);
    expect([name, figures]).toEqual([name, { rate: rate!, micros: micros! }]);
  }
  expect(source).toContain(/^date +(.*)$/m.exec(compare)![1]!);
});

test("HTTPS, WebSockets and a cluster cost what make costs has measured", () => {
  const { https, ws, wss, cluster, source } = measuredFigures();
  const costs = read("costs.txt");
  const row = (name: string) => Number(new RegExp(`^${name} +(\\S+)`, "m").exec(costs)![1]);
  expect(https).toEqual({ micros: row("HTTPS, one-shot"), rate: 1e6 / row("HTTPS, one-shot") });
  expect([ws.joinMicros, wss.joinMicros]).toEqual([row("ws, joins"), row("wss, joins")]);
  expect([ws.cycleMicros, wss.cycleMicros]).toEqual([row("ws, 5 offers"), row("wss, 5 offers")]);
  const more = row("TLS, KiB more");
  expect([ws.idleKib, wss.idleKib]).toEqual([row("ws, KiB"), row("ws, KiB") + more]);
  expect(cluster).toEqual({
    toldMicros: row("a change told"),
    heardMicros: row("a change heard"),
    serverMicros: row("a change through nats-server"),
  });
  expect(source).toContain(`make costs (${/^date +(.*)$/m.exec(costs)![1]})`);
});

test("two workers and RSA cost what their benchmarks have measured", () => {
  const { twoWorkers, rsa } = measuredFigures();
  const cell = (name: string, row: RegExp) => Number(row.exec(read(name))![1]);
  const [http, https] = ["HTTP", "HTTPS P-256"].map((table) =>
    cell("http-workers.txt", new RegExp(`^${table}  [^]*?^2 workers +\\S+ +(\\S+)`, "m")),
  );
  const udp = cell("scaling.txt", /^UDP, zipf: CPU of 2 workers.* (\S+) +\S+$/m);
  expect(twoWorkers).toEqual({ udp, http: http!, https: https! });
  const handshake = (key: string) =>
    cell("handshakes.txt", new RegExp(`^${key} +TLS 1.3  +(\\d+)`, "m"));
  expect(rsa).toBe(handshake("RSA 2048") / handshake("P-256"));
});

test("a peer takes what make bench has measured, in swarms of its size", () => {
  const { peerBytes, idleBytes } = measuredFigures();
  const core = read("core.txt");
  for (const [family, name] of [
    [4, "IPv4"],
    [6, "IPv6"],
  ] as const) {
    const ten = new RegExp(`^${name} +1,000,000 +10 +\\S+ +\\S+ +(\\S+)`, "m").exec(core)![1];
    expect(bytesAt(peerBytes[family], 10)).toBe(Number(ten));
    const sizes = peerBytes[family].map(({ peersEach }) => peersEach);
    expect(sizes).toEqual([1, 10, 1000, 100_000]);
  }
  expect(idleBytes).toBeGreaterThan(30 * 2 ** 20);
  expect(idleBytes).toBeLessThan(120 * 2 ** 20);
});

describe("bytes between two sizes", () => {
  const sizes = [
    { peersEach: 1, bytes: 40 },
    { peersEach: 100, bytes: 10 },
  ];

  test("lie between theirs", () => {
    expect(bytesAt(sizes, 10)).toBeCloseTo(20);
    expect(bytesAt(sizes, 1)).toBe(40);
    expect(bytesAt(sizes, 100)).toBe(10);
  });

  test("are those of the nearest beyond all of them", () => {
    expect(bytesAt(sizes, 0.5)).toBe(40);
    expect(bytesAt(sizes, 1e6)).toBe(10);
  });
});
