/**
 * Replays `test/corpus/http_requests.jsonl`: one line, one TCP connection, one verdict.
 *
 * A reply is first put into a class (see the README of the corpus), then its content is checked.
 * Every line names its own info hash, so all lines can run side by side on one tracker; they
 * must not run twice on it, because the first run has left its peers.
 */

import { decodeDictionary, type Dictionary } from "./bencode.ts";
import { inParallel } from "./harness.ts";
import { exchangeTcp, readResponses, type HttpResponse } from "./raw-http.ts";

/** What kind of answer a request got. */
export type HttpClass =
  | "ok-announce"
  | "ok-scrape"
  | "failure"
  | "http-4xx"
  | "http-5xx"
  | "redirect"
  | "closed"
  | "timeout"
  | "ws-upgrade"
  | "http-200-other"
  | "garbage";

/** One line of the corpus. Byte strings are base64, `ih` is hex. */
export interface HttpRecord {
  id: string;
  group: string;
  description: string;
  why: string;
  strict: boolean;
  expect: HttpClass;
  accept: HttpClass[];
  raw?: string;
  parts?: [bytes: string, times: number][];
  ih?: string;
  family?: 4 | 6;
  slow?: boolean;
  chunks?: "each" | number[];
  delay_ms?: number;
  half_close?: boolean;
  responses?: number;
  max_responses?: number;
  must_contain?: string[];
  must_not_contain?: string[];
  after_scrape?: Record<string, number>;
}

/** What became of one line: its class, and every check it failed, as sentences. */
export interface HttpOutcome {
  record: HttpRecord;
  got: HttpClass;
  problems: string[];
}

/** Where to send the lines. */
export interface HttpTarget {
  host: "127.0.0.1" | "::1";
  port: number;
}

/** Several slow lines only wait, so they may all wait together. */
const PARALLEL = 24;
const ANSWER_MILLISECONDS_MAX = 5000;
const SLOW_ANSWER_MILLISECONDS_MAX = 65_000;
/** How long to watch for a response too many, the mark of request smuggling. */
const EXTRA_RESPONSE_MILLISECONDS = 250;

/** All lines, in the order of the file. */
export async function readHttpCorpus(): Promise<HttpRecord[]> {
  const path = `${import.meta.dir}/../corpus/http_requests.jsonl`;
  const lines = (await Bun.file(path).text()).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as HttpRecord);
}

/** Replays the lines against a fresh tracker; outcomes in their order. */
export async function replayHttp(
  target: HttpTarget,
  records: readonly HttpRecord[],
): Promise<HttpOutcome[]> {
  return await inParallel(records, PARALLEL, (record) => replayRecord(target, record));
}

async function replayRecord(target: HttpTarget, record: HttpRecord): Promise<HttpOutcome> {
  const request = requestBytes(record);
  const head = request.subarray(0, 5).toString() === "HEAD ";
  const counted = record.responses !== undefined || record.max_responses !== undefined;
  const answer = await exchangeTcp({
    ...target,
    pieces: cutRequest(record, request),
    delayMilliseconds: record.delay_ms ?? 0,
    halfClose: record.half_close ?? false,
    head,
    responses: record.responses ?? 1,
    lingerMilliseconds: counted ? EXTRA_RESPONSE_MILLISECONDS : 0,
    timeoutMilliseconds: record.slow ? SLOW_ANSWER_MILLISECONDS_MAX : ANSWER_MILLISECONDS_MAX,
  });
  const responses = readResponses(answer.bytes, answer.closed, head);
  const first = responses[0];
  const got = first ? classify(first) : classifyNone(answer.bytes.length, answer.closed);
  const problems = [
    ...checkClass(record, got, first),
    ...checkCount(record, responses.length),
    ...(first ? [...checkBody(record, first.body), ...checkBencode(got, first.body)] : []),
    ...(got === "ok-announce" ? await checkScrape(target, record) : []),
  ];
  return { record, got, problems };
}

function requestBytes(record: HttpRecord): Buffer {
  if (record.raw !== undefined) return Buffer.from(record.raw, "base64");
  const parts = (record.parts ?? []).map(([bytes, times]) => {
    const once = Buffer.from(bytes, "base64");
    return Buffer.alloc(once.length * times, once);
  });
  return Buffer.concat(parts);
}

/** `chunks` are cut points; a negative one counts from the end. */
function cutRequest(record: HttpRecord, request: Buffer): Buffer[] {
  if (record.chunks === undefined) return [request];
  if (record.chunks === "each") return Array.from(request, (byte) => Buffer.of(byte));
  const cuts = [0, ...record.chunks, request.length];
  return cuts.slice(1).map((cut, index) => request.subarray(cuts[index], cut));
}

function classify(response: HttpResponse): HttpClass {
  if (response.status === 101) return "ws-upgrade";
  if (response.status >= 500) return "http-5xx";
  if (response.status >= 400) return "http-4xx";
  if (response.status >= 300) return "redirect";
  const dictionary = decodeOrNothing(response.body);
  if (dictionary === undefined) return "http-200-other";
  if ("failure reason" in dictionary) return "failure";
  if ("files" in dictionary) return "ok-scrape";
  return "interval" in dictionary && "peers" in dictionary ? "ok-announce" : "http-200-other";
}

function classifyNone(byteCount: number, closed: boolean): HttpClass {
  if (byteCount > 0) return "garbage";
  return closed ? "closed" : "timeout";
}

function decodeOrNothing(body: Uint8Array): Dictionary | undefined {
  try {
    return decodeDictionary(body);
  } catch {
    return undefined;
  }
}

function checkClass(record: HttpRecord, got: HttpClass, first?: HttpResponse): string[] {
  if (record.accept.includes(got)) return [];
  const seen = first
    ? ` (${first.status} ${Buffer.from(first.body).toString("latin1", 0, 80)})`
    : "";
  return [`got ${got}${seen}, acceptable: ${record.accept.join(", ")}`];
}

function checkCount(record: HttpRecord, count: number): string[] {
  const most = record.max_responses ?? record.responses ?? Infinity;
  if (count > most) return [`${count} responses, at most ${most} allowed`];
  if (record.responses !== undefined && count < record.responses) {
    return [`${count} responses to ${record.responses} pipelined requests`];
  }
  return [];
}

function checkBody(record: HttpRecord, body: Uint8Array): string[] {
  const holds = (text: string): boolean => Buffer.from(body).includes(Buffer.from(text, "base64"));
  const lacks = (record.must_contain ?? []).filter((text) => !holds(text));
  const leaks = (record.must_not_contain ?? []).filter(holds);
  return [
    ...lacks.map((text) => `body lacks ${atobQuoted(text)}`),
    ...leaks.map((text) => `body contains ${atobQuoted(text)}`),
  ];
}

function atobQuoted(base64: string): string {
  return JSON.stringify(atob(base64));
}

/** Peers have to be whole: libtorrent refuses a list cut in the middle of one. */
function checkBencode(got: HttpClass, body: Uint8Array): string[] {
  if (got !== "ok-announce") return [];
  const { peers, peers6 } = decodeDictionary(body);
  const problems: string[] = [];
  if (typeof peers === "string" && peers.length % 6 !== 0) problems.push("peers cut");
  if (typeof peers6 === "string" && peers6.length % 18 !== 0) problems.push("peers6 cut");
  return problems;
}

async function checkScrape(target: HttpTarget, record: HttpRecord): Promise<string[]> {
  if (record.after_scrape === undefined || record.ih === undefined) return [];
  const counts = await scrapeCounts(target, record.ih);
  return Object.entries(record.after_scrape)
    .filter(([name, count]) => counts[name] !== count)
    .map(([name, count]) => `scrape says ${name} ${String(counts[name])}, not ${count}`);
}

/** The counts the tracker shows for one info hash given in hex. */
async function scrapeCounts(target: HttpTarget, infoHash: string): Promise<Dictionary> {
  const escaped = infoHash.replace(/../g, "%$&");
  const lines = [`GET /scrape?info_hash=${escaped} HTTP/1.1`, "Host: x", "Connection: close"];
  const pieces = [Buffer.from(`${lines.join("\r\n")}\r\n\r\n`)];
  const answer = await exchangeTcp({ ...target, pieces });
  const response = readResponses(answer.bytes, answer.closed)[0];
  if (response === undefined) throw new Error("the tracker does not answer a scrape");
  const files = decodeDictionary(response.body).files as Dictionary;
  return (files[Buffer.from(infoHash, "hex").toString("latin1")] ?? {}) as Dictionary;
}
