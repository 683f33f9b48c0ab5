/** What a tracker of a given size needs, from given figures. */
import { describe, expect, test } from "bun:test";
import { excesses, makePlan, type Question, showShare } from "../../src/verbs/plan.ts";
import { asking, FIGURES, QUESTION } from "./plan-fixture.ts";

const MIB = 2 ** 20;

const plan = (changes: Partial<Question> = {}) => makePlan({ ...QUESTION, ...changes }, FIGURES);

test("an announce over UDP is two requests, and two packets each way", () => {
  const { all } = plan();
  expect(all.udp_requests_per_second).toBe(2000);
  expect(all.packets_per_second).toEqual({ in: 2000, out: 2000 });
  expect(all.processor_cores).toEqual({ udp: 0.008, http: 0, websocket: 0 });
  // 28 and 16, 28 and 98 and 11; 28 and 16, 28 and 20 and 50 peers.
  expect(all.bits_per_second).toEqual({ in: 181 * 8000, out: 392 * 8000 });
});

test("IPv6 has longer headers and peers, and a reply ends at 1,232 bytes", () => {
  const { all } = plan({ families: { 4: 0, 6: 1 } });
  expect(all.bits_per_second).toEqual({ in: 221 * 8000, out: (112 + 20 + 900) * 8000 });
  const many = plan({ families: { 4: 0, 6: 1 }, numwant: 200 });
  expect(many.all.bits_per_second.out).toBe((112 + 1232) * 8000);
});

test("over HTTP there are ten packets for each announce, and a connection", () => {
  const { all } = plan(asking({ http: 1000 }));
  expect([all.udp_requests_per_second, all.http_requests_per_second]).toEqual([0, 1000]);
  expect(all.packets_per_second).toEqual({ in: 5000, out: 5000 });
  expect(all.processor_cores.http).toBe(0.04);
  expect(all.used.event_loop).toBe(0.05);
  expect(all.open_files).toBe(30_100);
});

test("the tracker of the talk had 90,000 packets a second, which is near", () => {
  const { all } = plan(asking({ http: 8500 }));
  const packets = all.packets_per_second.in + all.packets_per_second.out;
  expect(Math.abs(packets / 90_000 - 1)).toBeLessThan(0.1);
});

test("memory is that of the peers by family, and what is set has room", () => {
  const { memory_bytes: memory } = plan({ families: { 4: 0.5, 6: 0.5 } }).all;
  expect(memory.swarms).toBe(27_000_000);
  expect(memory.process).toBe(27_000_000 + 70 * MIB);
  expect(memory.memory_max).toBe(48 * MIB);
  expect(plan({ peers: 10, swarms: 10 }).all.memory_bytes.memory_max).toBe(16 * MIB);
});

test("workers are as many as keep each below six tenths", () => {
  expect(plan(asking({ udp: 59_000 })).all).toMatchObject({ udp_workers: 1 });
  const { all } = plan(asking({ udp: 61_000 }));
  expect(all.udp_workers).toBe(2);
  // Two of them take 1.1 times the processor time.
  expect(all.used.udp).toBeCloseTo(0.305 * 1.1);
  expect(all.processor_cores.udp).toBeCloseTo(122_000 * 4e-6 * 1.1);
});

describe("HTTP workers", () => {
  test("are none while the event loop has room for announces over HTTP", () => {
    const { all } = plan(asking({ http: 11_900 }));
    expect([all.http_workers, all.used.http]).toEqual([0, 0]);
    expect(all.used.event_loop).toBeCloseTo(0.595);
  });

  test("are as many as keep each below six tenths, and the event loop has none of HTTP", () => {
    const { all } = plan(asking({ http: 10_000, https: 2500 }));
    // 0.5 and 1 threads, at 1.05 and 1.2 times what that costs in the event loop.
    expect(all.http_workers).toBe(3);
    expect(all.used.http).toBeCloseTo(1.725 / 3);
    expect(all.used.event_loop).toBe(0);
    expect(all.processor_cores.http).toBeCloseTo(0.4 * 1.05 + 1.2);
    expect(all.processors).toBe(3);
    expect(excesses({ all })).toEqual([]);
  });

  test("leave WebSockets and the cluster to the event loop, and pass wss:// on", () => {
    const { all } = plan({ peers: 1e6, ...asking({ http: 11_900, wss: 400 }) });
    const alone = plan({ peers: 1e6, ...asking({ wss: 400 }) }).all;
    expect(all.used.event_loop).toBe(alone.used.event_loop);
    expect(all.processor_cores.websocket).toBeCloseTo(alone.processor_cores.websocket * 1.95);
    expect(all.used.http * all.http_workers).toBeCloseTo(
      0.595 * 1.05 + 0.95 * alone.used.event_loop,
    );
    // Changes of others take what HTTP would need.
    const { node } = plan({ nodes: 2, ...asking({ udp: 20_000, http: 23_800 }) });
    expect(node?.http_workers).toBe(2);
    expect(node?.used.event_loop).toBe(node!.cluster!.processor_cores.tracker);
  });

  test("need three files for each connection", () => {
    expect(plan(asking({ https: 2000 })).all).toMatchObject({
      http_workers: 2,
      open_files: 60_000 * 3 + 100 + 256 + 2 * 4,
    });
  });

  test("are too many above the ceiling of the setting", () => {
    const much = plan({ peers: 1000, ...asking({ https: 90_000 }) });
    expect(excesses(much)).toEqual([
      "HTTP needs more threads than one tracker has: TRACKER_HTTP_WORKERS is 64 at most",
    ]);
  });
});

test("a machine with fewer processors than the plan needs is too small", () => {
  const of = (processors: number) =>
    excesses(makePlan({ ...QUESTION, ...asking({ https: 2500 }) }, { ...FIGURES, processors }));
  expect(of(2)).toEqual([]);
  expect(of(1)).toEqual(["one tracker needs 2 processors, and this machine has 1"]);
});

test("the buffer holds what comes in a quarter of a second, the default at least", () => {
  expect(plan().all.udp_receive_buffer_bytes).toBe(4 * MIB);
  const busy = plan(asking({ udp: 100_000 })).all;
  expect(busy.udp_receive_buffer_bytes).toBe(20 * MIB);
  // As much as the tracker takes at most.
  expect(plan(asking({ udp: 1e8 })).all.udp_receive_buffer_bytes).toBe(1024 * MIB);
});

describe("several trackers", () => {
  test("answer equal parts, and more while one is away, but each stores all peers", () => {
    const { all, node, node_while_one_is_away: spare } = plan({ nodes: 4 });
    expect(all.announces_per_second).toBe(1000);
    expect(node?.announces_per_second).toBe(250);
    expect(spare?.announces_per_second).toBeCloseTo(333.3, 1);
    expect([node?.peers, spare?.peers]).toEqual([1_800_000, 1_800_000]);
    expect(node?.memory_bytes).toEqual(all.memory_bytes);
  });

  test("one tracker has no parts", () => {
    expect(Object.keys(plan())).toEqual(["all"]);
  });
});

describe("what does not fit", () => {
  test("is said of the memory and of the event loop", () => {
    expect(excesses(plan())).toEqual([]);
    const busy = plan({ peers: 400_000_000, ...asking({ ws: 4000 }), websocketIntervalSeconds: 1 });
    expect(excesses(busy)).toEqual([
      "the peers are more than one tracker stores: TRACKER_MEMORY_MAX is 2560MiB at most",
      expect.stringMatching(
        /^the event loop, which has WebSockets and the cluster, is too busy in one tracker, 80 %: /,
      ),
    ]);
  });

  test("is said of the trackers that are left while one is away", () => {
    const two = plan({ nodes: 2, ...asking({ ws: 4000 }), websocketIntervalSeconds: 1 });
    expect(excesses(two)[0]).toContain("in a tracker while another one is away");
  });
});

test("a share is shown in percent, and of ten threads or more as how many times one", () => {
  const shown = [0, 0.316, 1, 1.54, 209.49].map(showShare);
  expect(shown).toEqual(["0 %", "32 %", "100 %", "154 %", "209 times"]);
});

describe("HTTPS and WebSocket", () => {
  test("a connection of HTTPS has a handshake: processor, packets and bits", () => {
    const [plain, secure] = [plan(asking({ http: 1000 })), plan(asking({ https: 1000 }))];
    expect(secure.all.http_requests_per_second).toBe(1000);
    expect(secure.all.processor_cores.http).toBe(0.4);
    expect(secure.all.used.event_loop).toBe(0.4);
    expect(secure.all.packets_per_second.in).toBe(plain.all.packets_per_second.in + 2000);
    expect(secure.all.bits_per_second.out).toBeGreaterThan(plain.all.bits_per_second.out + 2.8e7);
    expect(secure.all.open_files).toBe(plain.all.open_files);
  });

  test("each browser is an open WebSocket, with announces, joins and memory of its own", () => {
    // 100 announces a second each two minutes are 12,000 browsers.
    const { all } = plan({ peers: 12_000, ...asking({ wss: 100 }) });
    expect([all.websockets, all.websocket_announces_per_second]).toEqual([12_000, 100]);
    // 20 come in a second.
    expect(all.processor_cores.websocket).toBeCloseTo(100 * 250e-6 + 20 * 400e-6);
    expect(all.used.event_loop).toBe(all.processor_cores.websocket);
    expect(all.memory_bytes.swarms).toBe(0);
    expect(all.memory_bytes.process).toBe(12_000 * 8 * 1024 + 70 * MIB);
    expect(all.open_files).toBe(12_100);
    expect([all.udp_requests_per_second, all.http_requests_per_second]).toEqual([0, 0]);
  });

  test("browsers are not stored by other trackers, nor told to them", () => {
    const { all, node } = plan({ peers: 1_812_000, nodes: 2, ...asking({ udp: 1000, ws: 100 }) });
    expect([all.peers, node?.peers]).toEqual([1_812_000, 1_806_000]);
    expect(node?.websockets).toBe(6000);
    expect(node?.cluster?.deltas_per_second).toEqual({ in: 500, out: 500 });
  });

  test("more browsers than connections do not fit", () => {
    const crowd = plan({ peers: 120_000, ...asking({ ws: 1000 }) });
    expect(excesses(crowd)).toEqual([expect.stringContaining("65536 connections are open")]);
  });
});

describe("the traffic of a cluster", () => {
  test("is each announce told to the others, and heard of them", () => {
    const { all, node, node_while_one_is_away: spare } = plan({ nodes: 4 });
    expect(all.cluster).toBeUndefined();
    expect(node?.cluster?.deltas_per_second).toEqual({ in: 750, out: 250 });
    expect(spare?.cluster?.deltas_per_second.in).toBeCloseTo((1000 * 2) / 3);
    const { tracker, nats_server: server } = node!.cluster!.processor_cores;
    expect(tracker).toBeCloseTo(775e-6);
    // Its own go out to three, and three bring theirs.
    expect(server).toBeCloseTo(1500 * 0.2e-6);
    expect(node?.used.event_loop).toBeCloseTo(775e-6);
  });

  test("has 28 bytes for a change of IPv4, 40 of IPv6, and messages around them", () => {
    const bits = (families: Question["families"], udp: number) =>
      plan({ nodes: 3, families, ...asking({ udp }) }).node!.cluster!.bits_per_second;
    const beside = bits({ 4: 1, 6: 0 }, 3e-9);
    expect(beside.in).toBeCloseTo(2 * beside.out, 3);
    expect(beside.out).toBeLessThan(25_000);
    expect(bits({ 4: 1, 6: 0 }, 3000).out - beside.out).toBeCloseTo(1000 * 28 * 8);
    expect(bits({ 4: 0, 6: 1 }, 3000).in - beside.in).toBeCloseTo(2000 * 40 * 8);
  });

  test("of one tracker that is left is nothing", () => {
    const { node_while_one_is_away: spare } = plan({ nodes: 2 });
    expect(spare?.cluster?.deltas_per_second.in).toBe(0);
  });
});

test("UDP that needs more threads than there may be does not fit", () => {
  const much = plan({ peers: 1000, ...asking({ udp: 1e7 }) });
  expect(excesses(much)).toEqual([expect.stringContaining("TRACKER_UDP_WORKERS is 64 at most")]);
});
