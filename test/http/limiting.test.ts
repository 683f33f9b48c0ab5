import { describe, expect, test } from "bun:test";
import { EVENT_NONE, EVENT_STARTED, type Family } from "../../src/constants.ts";
import { HttpLimits, SILENCE } from "../../src/http/limiting.ts";
import { PORT_NONE } from "../../src/limits/request-rules.ts";
import { counterMemory, Counters, type CounterName } from "../../src/counters/counters.ts";
import { limitsOf, type Wanted } from "../limits/fixture.ts";

const PEER_ID = new TextEncoder().encode("-XX1234-abcdefghijkl");
const CLIENT = { address: new Uint8Array([192, 0, 2, 1]), family: 4 as Family };

/** Limits over HTTP, and what they have counted. */
function open(wanted: Partial<Wanted>) {
  const counters = new Counters(counterMemory(1), 0);
  const limiting = new HttpLimits(limitsOf(wanted).limits, counters.row);
  const counted = (...names: CounterName[]) => names.map((name) => counters.total(name));
  return { limiting, counted };
}

/** What a judgement says: "" for nothing, else its body. */
const said = (body: Uint8Array | undefined): string =>
  body === undefined ? "" : body === SILENCE ? "silence" : new TextDecoder().decode(body);

describe("who asks too much", () => {
  test("is told to come back in a minute, where limits are enforced", () => {
    const { limiting, counted } = open({ rates: { mode: "enforce" } });
    for (let i = 0; i < 60; i++) expect(said(limiting.judgeRate(CLIENT, 7))).toBe("");
    expect(said(limiting.judgeRate(CLIENT, 7))).toBe(
      "d14:failure reason46:too many requests from your address or network8:retry in1:1e",
    );
    expect(counted("httpOverRateAddress", "httpOverRateNetwork", "httpRefusedRate")).toEqual([
      1, 0, 1,
    ]);
    expect(said(limiting.judgeRate(CLIENT, 67))).toBe("");
  });

  test("is only counted where limits are observed", () => {
    const { limiting, counted } = open({
      rates: { mode: "observe", addressRate: 100, networkRate: 1 },
    });
    for (let i = 0; i < 61; i++) expect(said(limiting.judgeRate(CLIENT, 7))).toBe("");
    expect(counted("httpOverRateAddress", "httpOverRateNetwork", "httpRefusedRate")).toEqual([
      0, 1, 0,
    ]);
  });
});

describe("a rule", () => {
  const rules = [
    'refuse "update it" user-agent="Bad*"',
    "drop peer-id=-XX port=1-1023",
    "drop network=192.0.2.0/24 header:x-scrape=*",
  ].join("\n");

  test("refuses with its message, or drops without a word", () => {
    const { limiting, counted } = open({ rules });
    const judge = (port: number, headers: Record<string, string>) =>
      said(limiting.judgeRules(CLIENT, port, PEER_ID, new Headers(headers)));
    expect(judge(6881, {})).toBe("");
    expect(judge(6881, { "User-Agent": "BadClient" })).toBe("d14:failure reason9:update ite");
    expect(judge(80, {})).toBe("silence");
    expect(counted("httpRefusedRule", "httpDroppedRule")).toEqual([1, 1]);
  });

  test("holds for a scrape as far as that has what it asks for", () => {
    const { limiting } = open({ rules });
    const judge = (headers: Record<string, string>) =>
      said(limiting.judgeRules(CLIENT, PORT_NONE, undefined, new Headers(headers)));
    expect(judge({})).toBe("");
    expect(judge({ "X-Scrape": "1" })).toBe("silence");
  });
});

describe("an announce that is too early", () => {
  test("is counted", () => {
    const { limiting, counted } = open({});
    expect(said(limiting.judgeEarly(3, EVENT_NONE))).toBe("");
    expect(said(limiting.judgeEarly(20, EVENT_NONE))).toBe("");
    expect(counted("httpEarly", "httpRefusedEarly")).toEqual([1, 0]);
  });

  test("is counted once if it is over an observed rate as well", () => {
    const { limiting, counted } = open({ rates: { mode: "observe" } });
    for (let i = 0; i < 61; i++) limiting.judgeRate(CLIENT, 7);
    limiting.judgeEarly(3, EVENT_NONE);
    limiting.judgeEarly(20, EVENT_NONE);
    limiting.judgeRate(CLIENT, 67);
    limiting.judgeEarly(20, EVENT_NONE);
    expect(counted("httpEarly", "httpOverRateAnnounces")).toEqual([1, 1]);
  });

  test("is told the minutes that are left, where it is refused", () => {
    const { limiting, counted } = open({ settings: { refuseEarly: true } });
    expect(said(limiting.judgeEarly(4, EVENT_NONE))).toBe(
      "d14:failure reason49:this announce is too early: wait for the interval8:retry in2:12e",
    );
    expect(said(limiting.judgeEarly(4, EVENT_STARTED))).toBe("");
    expect(counted("httpEarly", "httpRefusedEarly")).toEqual([1, 1]);
  });
});
