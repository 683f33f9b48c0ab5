/** What a tracker of a given size needs, from given figures. */
import { describe, expect, test } from "bun:test";
import { excesses, makePlan, type Question, showPercent } from "../../src/verbs/plan.ts";
import { FIGURES, QUESTION } from "./plan-fixture.ts";

const MIB = 2 ** 20;

const plan = (changes: Partial<Question> = {}) => makePlan({ ...QUESTION, ...changes }, FIGURES);

test("an announce over UDP is two requests, and two packets each way", () => {
  const { all } = plan();
  expect(all.udp_requests_per_second).toBe(2000);
  expect(all.packets_per_second).toEqual({ in: 2000, out: 2000 });
  expect(all.processor_cores).toEqual({ udp: 0.008, http: 0 });
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
  const { all } = plan({ transports: { udp: 0, http: 1, proxied: 0 } });
  expect([all.udp_requests_per_second, all.http_requests_per_second]).toEqual([0, 1000]);
  expect(all.packets_per_second).toEqual({ in: 5000, out: 5000 });
  expect(all.processor_cores.http).toBe(0.04);
  expect(all.used.http).toBe(0.05);
  expect(all.open_files).toBe(30_100);
});

test("the tracker of the talk had 90,000 packets a second, which is near", () => {
  const { all } = plan({
    announcesPerSecond: 8500,
    transports: { udp: 0, http: 1, proxied: 0 },
  });
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
  expect(plan({ announcesPerSecond: 59_000 }).all).toMatchObject({ udp_workers: 1 });
  const { all } = plan({ announcesPerSecond: 61_000 });
  expect(all.udp_workers).toBe(2);
  expect(all.used.udp).toBeCloseTo(0.305);
});

test("the buffer holds what comes in a quarter of a second, the default at least", () => {
  expect(plan().all.udp_receive_buffer_bytes).toBe(4 * MIB);
  const busy = plan({ announcesPerSecond: 100_000 }).all;
  expect(busy.udp_receive_buffer_bytes).toBe(20 * MIB);
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
  test("is said of the memory and of the thread of HTTP", () => {
    expect(excesses(plan())).toEqual([]);
    const much = plan({
      peers: 400_000_000,
      announcesPerSecond: 20_000,
      transports: { udp: 0, http: 1, proxied: 0 },
    });
    expect(excesses(much)).toEqual([
      "the peers are more than one tracker stores: TRACKER_MEMORY_MAX is 2560MiB at most",
      expect.stringMatching(/^HTTP takes 100 % of the one thread that answers it in one tracker: /),
    ]);
  });

  test("is said of the trackers that are left while one is away", () => {
    const two = plan({
      nodes: 2,
      announcesPerSecond: 15_000,
      transports: { udp: 0, http: 1, proxied: 0 },
    });
    expect(excesses(two)[0]).toContain("in a tracker while another one is away");
  });
});

test("a share is shown in percent", () => {
  expect(showPercent(0.316)).toBe("32 %");
});
