/**
 * A few seconds of fuzzing with a fixed seed; `make fuzz` does minutes of it with seeds of its own.
 *
 * The oracle is itself tested with replies that break one promise each.
 */
import { describe, expect, test } from "bun:test";
import { startTracker } from "../e2e/harness.ts";
import { MIB, vitalsOf } from "../soak/vitals.ts";
import { campaigns, runFor } from "./campaigns.ts";
import { type Asked, judgeBody, judgeDatagram } from "./oracle.ts";
import { Random } from "./random.ts";
import { fuzzHttp, fuzzUdp } from "./sockets.ts";

const SEED = 20_260_101;
const TIMEOUT_MILLISECONDS = 60_000;
const LINUX = process.platform === "linux";

test.each(campaigns())(
  "$name: no input breaks a promise",
  async (campaign) => {
    const effort = await runFor(campaign, SEED, 0.3);
    expect(effort.inputs).toBeGreaterThan(0);
  },
  TIMEOUT_MILLISECONDS,
);

test(
  "10 million guesses find no connection id",
  async () => {
    const guesses = campaigns().find(({ name }) => name.startsWith("guesses"))!;
    const random = new Random(SEED, "ten million");
    await guesses.run(random, 10_000_000);
  },
  TIMEOUT_MILLISECONDS,
);

describe.each([
  ["a UDP worker", "1"],
  ["UDP in the event loop", "0"],
])("the binary with %s", (_name, workers) => {
  test(
    "answers mutated requests over its sockets rightly or not at all, and stays small",
    async () => {
      const env = { TRACKER_UDP_WORKERS: workers, TRACKER_MEMORY_MAX: "32MiB" };
      await using tracker = await startTracker({ env });
      const udp = await fuzzUdp(new Random(SEED, "udp"), tracker.port, 1.5);
      const http = await fuzzHttp(new Random(SEED, "http"), tracker.port, 1.5);
      expect(udp.answers).toBeGreaterThan(udp.inputs / 20);
      expect(http.answers).toBeGreaterThan(http.inputs / 4);
      expect(tracker.running).toBe(true);
      if (LINUX) expect(vitalsOf(tracker.pid).residentBytes).toBeLessThan(160 * MIB);
      expect(tracker.stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(5);
    },
    TIMEOUT_MILLISECONDS,
  );
});

describe("the oracle refuses", () => {
  const id = "1122334455667788";
  const announce = `${id}00000001c0ffee01${"5a".repeat(80)}ffffffff1ae1`;
  const hex = (text: string) => Uint8Array.fromHex(text);
  const asked = (request: string, changes: Partial<Asked> = {}): Asked => {
    const bytes = hex(request);
    return { bytes, proven: true, family: 4, replyBytesMax: 1232, scrapeMax: 74, ...changes };
  };
  const good = "00000001c0ffee010000070800000001000000000a0000011ae1";

  test("nothing that is right", () => {
    const long = announce.padEnd(196, "0");
    expect(() => judgeDatagram(asked(long), hex(good))).not.toThrow();
  });

  test.each<[string, string, Partial<Asked>]>([
    ["another transaction id", good.replace("ee01", "ee02"), {}],
    ["an announce reply to somebody unproven", good, { proven: false }],
    ["half a peer", good.slice(0, -2), {}],
    ["a negative count", good.replace("00000001000000000a", "ffffffff000000000a"), {}],
    ["a peer with port 0", `${good.slice(0, -4)}0000`, {}],
    ["a reply longer than allowed", good, { replyBytesMax: 25 }],
    ["an error to an announce", "00000003c0ffee0161", {}],
    ["an action that does not exist", "00000007c0ffee0161", {}],
  ])("%s over UDP", (_name, reply, changes) => {
    const long = announce.padEnd(196, "0");
    expect(() => judgeDatagram(asked(long, changes), hex(reply))).toThrow();
  });

  const rest = "11:external ip4:aaaa10:incompletei0e8:intervali1e12:min intervali1e5:peers";

  test.each([
    ["keys out of order", "d8:intervali1e8:completei0ee"],
    ["bytes behind the value", "d14:failure reason1:xee"],
    ["a negative count", `d8:completei-1e10:downloadedi0e${rest}0:e`],
    ["half a peer", `d8:completei0e10:downloadedi0e${rest}5:aaaaae`],
    ["an unknown key", `d8:completei0e10:downloadedi0e${rest}0:1:x0:e`],
  ])("%s over HTTP", (_name, body) => {
    expect(() => judgeBody(new TextEncoder().encode(body))).toThrow();
  });

  test("nothing that is right over HTTP", () => {
    const body = new TextEncoder().encode(`d8:completei0e10:downloadedi0e${rest}0:e`);
    expect(() => judgeBody(body)).not.toThrow();
  });
});
