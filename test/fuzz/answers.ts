/**
 * Campaigns against our own client: what a hostile server may answer to the verbs.
 *
 * Of answers over HTTP: how the bytes are cut changes nothing, and no body is longer than its
 * bound. Of what is read in them, and of replies over UDP: numbers or a sentence, and nothing that
 * a terminal would obey. An answer that cost more time than its bytes would be seen in the rate, an
 * endless one as a run that does not end.
 */
import { AnswerReader, type HttpAnswer } from "../../src/verbs/http-answer.ts";
import { printable } from "../../src/verbs/printable.ts";
import { readFigures, renderTop } from "../../src/verbs/top.ts";
import { readAnnounced, readScraped, readUdpAnnounced } from "../../src/verbs/tracker-answers.ts";
import { ACTION_ANNOUNCE, ACTION_SCRAPE, judgeReply } from "../../src/verbs/udp-client.ts";
import { FIGURES } from "../verbs/figures.ts";
import { mutateText } from "./mutations.ts";
import { must } from "./oracle.ts";
import type { Random } from "./random.ts";
import { type Campaign, judge } from "./readers.ts";

const BODY_BYTES_MAX = 600;
const ANSWER_SIZE_MAX = 2000;

const OK = "HTTP/1.1 200 OK\r\n";
const INFO_HASH = "\x11".repeat(20);
const ANNOUNCED =
  "d8:completei1e10:incompletei1e8:intervali1800e5:peers6:\x7f\0\0\x01\x1b\x016:peers6" +
  `18:${"\x20".repeat(18)}e`;
const SCRAPED = `d5:filesd20:${INFO_HASH}d8:completei1e10:downloadedi0e10:incompletei1eeee`;
const LISTED = "d8:intervali1800e5:peersld2:ip9:127.0.0.14:porti6881eed4:porti1eeee";
const REFUSED = "d14:failure reason12:not here \x1b[me";
const BODIES = [ANNOUNCED, SCRAPED, LISTED, REFUSED, "<html>", "", JSON.stringify(FIGURES)];

const FIELDS = [
  "Content-Length: 5",
  "Content-Length: -1",
  "Content-Length: 99999999999999999999",
  "Content-Length: 5, 5",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Location: http://127.0.0.1:1/",
  " folded: line",
  "nocolon",
  "X: \u00ff\x1b[2J",
];
const SIZES = ["-6", "-1", "0", "00000000", "ffffffff", "100000000", "0x5", " 5", "5;a=b", ";", ""];
const CHARACTERS = "\r\n: \t\0\x7f;-0123456789abcdefild\x1b\u00ff";

/** Answers over HTTP, and what the verbs read in them. */
export function answerCampaign(): Campaign {
  return {
    name: "answers of servers to our HTTP client",
    run(random, count) {
      let text = "";
      for (let i = 0; i < count; i++) {
        text = mutateAnswer(random, i % 4 === 0 ? makeAnswer(random) : text);
        judge(text, () => judgeAnswer(random, text));
      }
    },
  };
}

function makeAnswer(random: Random): string {
  const body = random.pick(BODIES).slice(0, BODY_BYTES_MAX);
  const kind = random.below(3);
  if (kind === 0) return `${OK}Content-Length: ${body.length}\r\n\r\n${body}`;
  if (kind === 1) return `${OK}\r\n${body}`;
  const cut = random.below(body.length + 1);
  const chunks = [body.slice(0, cut), body.slice(cut), ""].map(
    (chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`,
  );
  return `${OK}Transfer-Encoding: chunked\r\n\r\n${chunks.join("")}`;
}

/** One change: of a field, of the size of a chunk, or of anything. */
function mutateAnswer(random: Random, text: string): string {
  const kind = random.below(4);
  const lineEnd = text.indexOf("\r\n", random.below(text.length + 1));
  if (kind > 1 || lineEnd < 0)
    return mutateText(random, text, CHARACTERS).slice(0, ANSWER_SIZE_MAX);
  const line = random.pick(kind === 0 ? FIELDS : SIZES);
  return `${text.slice(0, lineEnd)}\r\n${line}${text.slice(lineEnd)}`.slice(0, ANSWER_SIZE_MAX);
}

function judgeAnswer(random: Random, text: string): void {
  const bytes = Buffer.from(text, "latin1");
  const whole = readPieces(bytes, () => bytes.length);
  const cut = readPieces(bytes, () => 1 + random.below(64));
  must(Bun.deepEquals(whole, cut), `in pieces it is ${JSON.stringify(cut)}`);
  if (whole === undefined || typeof whole === "string") {
    judgeText(whole ?? "");
    return;
  }
  must(whole.body.length <= BODY_BYTES_MAX, `a body of ${whole.body.length} bytes`);
  judgeTexts(() => readAnnounced(whole));
  judgeTexts(() => readScraped(whole, Buffer.from(INFO_HASH, "latin1")));
}

function readPieces(bytes: Buffer, step: () => number): HttpAnswer | string | undefined {
  const reader = new AnswerReader(BODY_BYTES_MAX);
  let outcome: HttpAnswer | string | undefined;
  for (let at = 0; at < bytes.length && outcome === undefined;) {
    const to = at + step();
    outcome = reader.take(bytes.subarray(at, to));
    at = to;
  }
  return outcome ?? reader.end();
}

/** A value whose numbers are finite, or an error in a sentence that may be shown. */
function judgeTexts(read: () => object): void {
  let value: object;
  try {
    value = read();
  } catch (error) {
    must(error instanceof Error && error.constructor !== RangeError, String(error));
    judgeText((error as Error).message);
    return;
  }
  for (const part of Object.values(value).flat()) {
    must(Number.isFinite(part), `${String(part)} is no number`);
  }
}

function judgeText(text: string): void {
  must(printable(text) === text && text.length < 300, `${JSON.stringify(text)} is shown`);
}

/** Bodies of /live as `top` draws them. */
export function figuresCampaign(): Campaign {
  const seed = JSON.stringify({ ...FIGURES, curve: { rates: [1, 0, 2.5], spanSeconds: 15 } });
  const values = ["-1", "1e999", "1e-300", "9007199254740991", '"\\u001b]0;x"', "null", "[]", "{}"];
  return {
    name: "figures that top draws",
    run(random, count) {
      for (let i = 0; i < count; i++) {
        const value = random.pick(values);
        const text = random.oneIn(2)
          ? seed.replace(/\d+|"b[^"]*"/g, (old) => (random.oneIn(6) ? value : old))
          : mutateText(random, seed, '{}[]":,.0e-\\');
        judge(text, () => judgeFigures(random, text));
      }
    },
  };
}

function judgeFigures(random: Random, text: string): void {
  const figures = readFigures(text);
  if (figures === undefined) return;
  const size = { columns: 1 + random.below(120), rows: 1 + random.below(40) };
  const lines = renderTop(figures, size, {
    colour: false,
    failure: random.pick([undefined, text]),
  });
  must(lines.length <= size.rows, `${lines.length} lines`);
  for (const line of lines) {
    must(line.length <= Math.max(2, size.columns), `${line.length} columns of ${size.columns}`);
    must(printable(line) === line && !/NaN|undefined|Infinity/.test(line), JSON.stringify(line));
  }
}

/** Replies over UDP. */
export function replyCampaign(): Campaign {
  const seeds = ["00000001", "00000002", "00000003", "00000000", "ffffffff"].map((action) =>
    Buffer.from(`${action}c0ffee01000007080000000000000001${"7f0000010102".repeat(20)}`, "hex"),
  );
  return {
    name: "replies of trackers to our UDP client",
    run(random, count) {
      for (let i = 0; i < count; i++) {
        const reply = Buffer.from(random.pick(seeds)).subarray(0, 8 + random.below(140));
        const noise = random.below(reply.length);
        if (random.oneIn(2)) random.fill(reply, noise, Math.min(reply.length, noise + 8));
        const shown = reply.toString("hex");
        judge(shown, () => {
          judgeTexts(() => {
            judgeReply(reply, ACTION_ANNOUNCE, 20);
            return readUdpAnnounced(reply, random.pick([4, 6] as const));
          });
          judgeTexts(() => {
            judgeReply(reply, ACTION_SCRAPE, 20);
            return { seeders: reply.readInt32BE(8), leechers: reply.readInt32BE(16) };
          });
        });
      }
    },
  };
}
