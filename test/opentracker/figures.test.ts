import { expect, test } from "bun:test";
import { COUNT, counterMemory, Counters } from "../../src/counters/counters.ts";
import { gatherFigures } from "../../src/opentracker/figures.ts";
import { announce, complete, makeTracker } from "../swarm/fixture.ts";

test("figures are sums over all threads and both families", () => {
  const { tracker, memory } = makeTracker();
  complete(tracker, { infoHash: 1, peer: 1 });
  announce(tracker, { infoHash: 1, peer: 2, family: 6, seeder: true });
  announce(tracker, { infoHash: 2, peer: 3 });
  const rows = counterMemory(2);
  const [first, second] = [new Counters(rows, 0), new Counters(rows, 1)];
  first.row[COUNT.httpAnnouncesIpv4] = 1;
  first.row[COUNT.httpAnnouncesIpv6] = 2;
  first.row[COUNT["http:not_found"]] = 4;
  first.row[COUNT.httpFullScrapes] = 1;
  first.row[COUNT.httpStats] = 8;
  first.row[COUNT.udpConnectsIpv4] = 16;
  second.row[COUNT.udpConnectsIpv6] = 32;
  second.row[COUNT["udp:connection_id"]] = 64;
  second.row[COUNT["udp:query"]] = 128;
  const figures = gatherFigures(first, memory, 61.9, 5);
  expect(figures).toMatchObject({ uptimeSeconds: 61, swarms: 2, peers: 3, seeders: 2 });
  expect(figures).toMatchObject({ downloads: 1, httpAnnounces: 3, httpRequests: 16, livesync: 5 });
  expect(figures).toMatchObject({ udpConnects: 48, udpBadConnectionIds: 64, udpDatagrams: 240 });
});

test("rejected requests are requests, too", () => {
  const { memory } = makeTracker();
  const counters = new Counters(counterMemory(1), 0);
  const { row } = counters;
  row[COUNT["http:denied"]] = 1;
  row[COUNT["http:maintenance"]] = 2;
  row[COUNT["http:address"]] = 4;
  row[COUNT["http:rule"]] = 8;
  row[COUNT["http:query"]] = 16;
  row[COUNT["http:malformed"]] = 32;
  row[COUNT["http:method"]] = 64;
  row[COUNT["http:bug"]] = 128;
  row[COUNT["udp:unlisted"]] = 1;
  row[COUNT["udp:rule"]] = 2;
  row[COUNT["udp:short"]] = 4;
  row[COUNT.udpOverRateAddress] = 8;
  const figures = gatherFigures(counters, memory, 0);
  expect(figures).toMatchObject({ httpRequests: 255, requestErrors: 20, udpDatagrams: 7 });
  expect(figures).toMatchObject({ parseErrors: 96, bugs: 128 });
});
