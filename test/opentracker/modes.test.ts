/** The texts of opentracker, byte by byte. */
import { expect, test } from "bun:test";
import type { Figures } from "../../src/opentracker/figures.ts";
import * as modes from "../../src/opentracker/modes.ts";

const FIGURES: Figures = {
  uptimeSeconds: 7210,
  swarms: 30,
  peers: 134,
  seeders: 31,
  downloads: 29,
  httpRequests: 72_100,
  httpAnnounces: 14_420,
  httpScrapes: 101,
  udpDatagrams: 144_200,
  udpConnects: 7210,
  udpAnnounces: 28_840,
  udpScrapes: 103,
  udpBadConnectionIds: 107,
  fullScrapes: 2,
  fullScrapeBytes: 21_630,
  redirects: 1,
  parseErrors: 2,
  requestErrors: 3,
  tooMany: 4,
  forbidden: 5,
  notFound: 6,
  bugs: 7,
  livesync: 8,
};
const SINCE = "7210 seconds (2 hours)";

test.each([
  [modes.peersText, "134\n31\nopentracker serving 30 torrents\nopentracker"],
  [modes.swarmsText, "30\n0\nopentracker serving 30 torrents\nopentracker"],
  [
    modes.connectionsText,
    `216300\n50470\n${SINCE}\nopentracker connections, 30 conns/s :: 7 success/s.`,
  ],
  [modes.httpText, `72100\n14420\n${SINCE}\nopentracker tcp4 stats, 10 conns/s :: 2 success/s.`],
  [modes.udpText, `144200\n36050\n${SINCE}\nopentracker udp4 stats, 20 conns/s :: 5 success/s.`],
  [modes.scrapesText, `101\n103\n${SINCE}\nopentracker scrape stats, 0 scrape/s (tcp and udp)`],
  [
    modes.fullScrapesText,
    `2000\n21630\n${SINCE}\nopentracker full scrape stats, 0 conns/s :: 3 bytes/s.`,
  ],
  [modes.completedText, `29\n0\n${SINCE}\nopentracker, 14 completed/h.`],
  [modes.syncsText, `0\n0\n${SINCE}\nopentracker connections, 30 conns/s :: 7 success/s.`],
  [
    modes.errorsText,
    "302 RED 1\n400 ... 2\n400 PAR 3\n400 COM 0\n403 IP  5\n404 INV 6\n500 SRV 7\n",
  ],
])("%p is in the form of MRTG, or a list", (write, text) => {
  expect(write(FIGURES)).toBe(text);
});

test("in the first second and hour nothing is divided by zero", () => {
  const figures = { ...FIGURES, uptimeSeconds: 0 };
  expect(modes.completedText(figures)).toBe(
    "29\n0\n0 seconds (0 hours)\nopentracker, 29 completed/h.",
  );
  expect(modes.scrapesText(figures)).toEndWith(", 204 scrape/s (tcp and udp)");
});

test("histograms have a line for each column", () => {
  expect(modes.renewedText([5, 0, 7])).toBe("00 5\n01 0\n02 7\n");
  expect(modes.wantedText([5, 0])).toBe("000 => 5\n001 => 0\n");
});

test("the largest swarms are three lists of the requested length", () => {
  const swarm = (infoHash: string, count: number) => ({ infoHash, count });
  const ranking = {
    peers: [swarm("AA", 9), swarm("BB", 8), swarm("CC", 1)],
    seeders: [swarm("BB", 8)],
    leechers: [],
  };
  expect(modes.rankingText(ranking, 2)).toBe(
    "Top 2 torrents by peers:\n\t9\tAA\n\t8\tBB\n" +
      "Top 2 torrents by seeds:\n\t8\tBB\nTop 2 torrents by leechers:\n",
  );
});

test("networks are written in their family's form", () => {
  expect(modes.networksText(24, [{ high: 0x7f000000, low: 0, count: 134 }])).toBe(
    "Networks, limit /24:\n00000134: 127.0.0.0\n\n",
  );
  expect(modes.networksText(48, [{ high: 0x20010db8, low: 0x000a0000, count: 5 }])).toBe(
    "Networks, limit /48:\n00000005: 2001:db8:a::\n\n",
  );
  expect(modes.networksText(28, [])).toBe("Networks, limit /28:\n\n");
});

test("origins are a list", () => {
  const origins = [{ name: "https://a.example", count: 3 }];
  expect(modes.originsText(origins, 20)).toBe(
    "Top 20 origins by WebSocket connections:\n\t3\thttps://a.example\n",
  );
});

test("hosts and paths are two lists", () => {
  const text = modes.hostsText([{ name: "a.example", count: 3 }], [{ name: "/x/", count: 2 }], 100);
  expect(text).toBe(
    "Top 100 hosts by announces:\n\t3\ta.example\nTop 100 paths by announces:\n\t2\t/x/\n",
  );
});

test("everything is this XML", () => {
  expect(modes.everythingText(FIGURES, [5, 6], 4711, "tracker 1.0")).toBe(`\
<?xml version="1.0" encoding="UTF-8"?>
<stats>
  <tracker_id>4711</tracker_id>
  <version>
tracker 1.0
  </version>
  <uptime>7210</uptime>
  <torrents>
    <count_mutex>30</count_mutex>
    <count_iterator>30</count_iterator>
  </torrents>
  <peers>
    <count>134</count>
  </peers>
  <seeds>
    <count>31</count>
  </seeds>
  <completed>
    <count>29</count>
  </completed>
  <connections>
    <tcp>
      <accept>72100</accept>
      <announce>14420</announce>
      <scrape>101</scrape>
    </tcp>
    <udp>
      <overall>144200</overall>
      <connect>7210</connect>
      <announce>28840</announce>
      <scrape>103</scrape>
      <missmatch>107</missmatch>
    </udp>
    <livesync>
      <count>8</count>
    </livesync>
  </connections>
  <debug>
    <renew>
      <count interval="00">5</count>
      <count interval="01">6</count>
    </renew>
    <http_error>
      <count code="302 Redirect">1</count>
      <count code="400 Parse Error">2</count>
      <count code="400 Invalid Parameter">3</count>
      <count code="400 Invalid Parameter (compact=0)">0</count>
      <count code="400 Not Modest">4</count>
      <count code="402 Payment Required">0</count>
      <count code="403 Access Denied">5</count>
      <count code="404 Not found">6</count>
      <count code="500 Internal Server Error">7</count>
    </http_error>
    <mutex_stall>
      <count>0</count>
    </mutex_stall>
  </debug>
</stats>`);
});
