/** The options of a plan: what they mean, and the sentence for each mistake. */
import { describe, expect, test } from "bun:test";
import { readConfig } from "../../src/config/config.ts";
import { by } from "./plan-fixture.ts";
import { type PlanOptions, readQuestion } from "../../src/verbs/plan-question.ts";

const reading = readConfig({ TRACKER_INTERVAL: "20m", TRACKER_NUMWANT_DEFAULT: "40" });
if ("problems" in reading) throw new Error(reading.problems.join());
const ask = (options: PlanOptions) => readQuestion(options, reading.config);

test("peers give announces by the interval, and announces give peers", () => {
  expect(ask({ peers: "1.2M" })).toEqual({
    peers: 1_200_000,
    announcesPerSecond: 1000,
    intervalSeconds: 1200,
    websocketIntervalSeconds: 120,
    swarms: 758_400,
    announces: by({ udp: 1000 }),
    families: { 4: 1, 6: 0 },
    nodes: 1,
    numwant: 40,
  });
  const other = ask({ announces: "8.5k", interval: "30m", swarms: "1k", nodes: "3" });
  expect(other).toMatchObject({ peers: 15_300_000, intervalSeconds: 1800, swarms: 1000, nodes: 3 });
});

test("shares are percents, or equal parts", () => {
  expect(ask({ announces: "1k", transports: "udp:75,http:25" })).toMatchObject({
    announces: by({ udp: 750, http: 250 }),
  });
  expect(ask({ peers: "1", families: "IPv4, ipv6" })).toMatchObject({
    families: { 4: 0.5, 6: 0.5 },
  });
  expect(ask({ announces: "1", transports: "HTTPS,proxied" })).toMatchObject({
    announces: by({ https: 0.5, proxied: 0.5 }),
  });
});

test("browsers announce at the interval of WebSockets, whatever the other one is", () => {
  const half = { transports: "udp,wss", interval: "20m" };
  expect(ask({ peers: "1200", ...half })).toMatchObject({
    peers: 1200,
    announcesPerSecond: 5.5,
    announces: by({ udp: 0.5, wss: 5 }),
  });
  expect(ask({ announces: "2", ...half })).toMatchObject({
    peers: 1320,
    announces: by({ udp: 1, wss: 1 }),
  });
});

describe("a mistake is a sentence", () => {
  const cases: [PlanOptions, string][] = [
    [{}, "say how many: --peers=1M, or --announces=8500 a second"],
    [{ peers: "1", announces: "1" }, "--peers and --announces are both given, but each follows"],
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
      { peers: "1", transports: "quic" },
      '--transports has "quic", which is unknown: use udp, http, https, proxied, ws, wss',
    ],
    [
      { peers: "1", transports: "udp:50,http:40" },
      '--transports is "udp:50,http:40", which adds up to 90 percent: write udp:80,http:20',
    ],
    [{ peers: "1", transports: "udp:50,http" }, "which is not clear: write udp:80,http:20"],
    [{ peers: "1", transports: "udp,udp" }, "where udp is repeated"],
    [{ peers: "1", transports: "udp:x,http:1" }, 'where "x" is no number'],
    [{ peers: "1", families: "" }, '--families has "", which is unknown: use ipv4, ipv6'],
  ];
  test.each(cases)("%j", (options, sentence) => {
    expect(ask(options)).toEqual(expect.stringContaining(sentence));
  });
});
