/** The options of a plan: what they mean, and the sentence for each mistake. */
import { describe, expect, test } from "bun:test";
import { readConfig } from "../../src/config/config.ts";
import { type PlanOptions, readQuestion } from "../../src/verbs/plan-question.ts";

const reading = readConfig({ TRACKER_INTERVAL: "20m", TRACKER_NUMWANT_DEFAULT: "40" });
if ("problems" in reading) throw new Error(reading.problems.join());
const ask = (options: PlanOptions) => readQuestion(options, reading.config);

test("peers give announces by the interval, and announces give peers", () => {
  expect(ask({ peers: "1.2M" })).toEqual({
    peers: 1_200_000,
    announcesPerSecond: 1000,
    intervalSeconds: 1200,
    swarms: 758_400,
    transports: { udp: 1, http: 0, proxied: 0 },
    families: { 4: 1, 6: 0 },
    nodes: 1,
    numwant: 40,
  });
  const other = ask({ announces: "8.5k", interval: "30m", swarms: "1k", nodes: "3" });
  expect(other).toMatchObject({ peers: 15_300_000, intervalSeconds: 1800, swarms: 1000, nodes: 3 });
});

test("shares are percents, or equal parts", () => {
  expect(ask({ peers: "1", transports: "udp:75,http:25" })).toMatchObject({
    transports: { udp: 0.75, http: 0.25, proxied: 0 },
  });
  expect(ask({ peers: "1", families: "IPv4, ipv6" })).toMatchObject({
    families: { 4: 0.5, 6: 0.5 },
  });
  expect(ask({ peers: "1", transports: "proxied" })).toMatchObject({
    transports: { udp: 0, http: 0, proxied: 1 },
  });
});

describe("a mistake is a sentence", () => {
  const cases: [PlanOptions, string][] = [
    [{}, "say how many: --peers=1M, or --announces=8500 a second"],
    [{ peers: "1", announces: "1" }, "say how many: --peers=1M, or --announces=8500 a second"],
    [{ peers: "many" }, '--peers is "many", which is not a number: write 8500, 8.5k or 15M'],
    [{ peers: "-1" }, '--peers is "-1", which is not a number: write 8500, 8.5k or 15M'],
    [{ peers: "0" }, '--peers is "0", which is out of range: write more than 0'],
    [{ peers: "20G" }, '--peers is "20G", which is out of range: write at most 10,000,000,000'],
    [{ announces: "1G" }, '"1G", which is out of range: write at most 100,000,000'],
    [{ peers: "1", interval: "soon" }, '--interval is "soon", which is not a time: write'],
    [{ peers: "1", interval: "0" }, '--interval is "0", which is out of range: choose 1s to 24h'],
    [{ peers: "1", nodes: "1.5" }, '--nodes is "1.5", which is not a whole number'],
    [{ peers: "1", nodes: "2k" }, '--nodes is "2k", which is out of range: write at most 1,000'],
    [{ peers: "1k", swarms: "2k" }, "--swarms is 2k, more than there are peers: choose fewer"],
    [
      { peers: "1", transports: "https" },
      '--transports has "https", which was not measured: use udp, http, proxied',
    ],
    [
      { peers: "1", transports: "udp:50,http:40" },
      '--transports is "udp:50,http:40", which adds up to 90 percent: write udp:80,http:20',
    ],
    [{ peers: "1", transports: "udp:50,http" }, "which is not clear: write udp:80,http:20"],
    [{ peers: "1", transports: "udp,udp" }, "where udp is repeated"],
    [{ peers: "1", transports: "udp:x,http:1" }, 'where "x" is no number'],
    [{ peers: "1", families: "" }, '--families has "", which was not measured: use ipv4, ipv6'],
  ];
  test.each(cases)("%j", (options, sentence) => {
    expect(ask(options)).toEqual(expect.stringContaining(sentence));
  });
});
