/** Peers in compact form, and answers over HTTP with flaws. */
import { expect, test } from "bun:test";

import { readAnnounced, readPorts, readScraped } from "../../src/verbs/tracker-answers.ts";

test("ports are the last two bytes of each peer, whatever the family", () => {
  expect(readPorts(Buffer.from("7f0000011ae1" + "7f0000020050", "hex"), 6)).toEqual([6881, 80]);
  expect(readPorts(Buffer.from("00".repeat(16) + "1ae1", "hex"), 18)).toEqual([6881]);
  expect(readPorts(new Uint8Array(0), 6)).toEqual([]);
});

test("a list of peers that is cut short is refused", () => {
  expect(readPorts(new Uint8Array(7), 6)).toBeUndefined();
  expect(readPorts(new Uint8Array(6), 18)).toBeUndefined();
});

/** The answer with this status and body. */
function answer(body: string, status = 200) {
  return { status, fields: new Map<string, string>(), body: Buffer.from(body, "latin1") };
}

/** The flaws of an announce whose answer has these keys between interval and peers. */
function flawsOf(keys: string, status = 200): string[] {
  const flaws: string[] = [];
  readAnnounced(answer(`d8:intervali1800e${keys}5:peers0:e`, status), flaws);
  return flaws;
}

test("an announce or a scrape with another status than 200 is a flaw, whatever its body", () => {
  expect(flawsOf("")).toEqual([]);
  for (const status of [201, 204, 302, 404, 503]) {
    const flaw = `the status is ${status}, not 200: most clients drop the answer`;
    expect(flawsOf("", status)).toEqual([flaw]);
    const flaws: string[] = [];
    const files = `d5:filesd20:${"x".repeat(20)}d8:completei1eeee`;
    readScraped(answer(files, status), Buffer.from("x".repeat(20)), flaws);
    expect(flaws).toEqual([flaw]);
    const refused: string[] = [];
    const failure = answer("d14:failure reason4:busye", status);
    expect(() => readAnnounced(failure, refused)).toThrow("refused: busy");
    expect(refused).toEqual([flaw]);
  }
});

test("a min interval that is no number, or longer than the interval, is a flaw", () => {
  expect(flawsOf("12:min intervali900e")).toEqual([]);
  expect(flawsOf("12:min intervali1800e")).toEqual([]);
  expect(flawsOf("12:min intervali1801e")).toEqual([
    "its min interval is 1801 s, longer than the interval of 1800 s",
  ]);
  for (const wrong of ["4:1800", "le", "de"]) {
    expect(flawsOf(`12:min interval${wrong}`)).toEqual(["its min interval is not a number"]);
  }
});
