/**
 * The campaign against request heads, as they come from a socket: whole, cut and mutated.
 *
 * What is promised of a head that is taken: its parts lie in order inside it, it ends with the
 * first empty line, and holds no byte that two readers could understand differently. And of every
 * head: that it comes in pieces changes nothing. A beginning is unfinished, or refused as the whole
 * is.
 */
import { HEAD_INCOMPLETE, HEAD_OK, HEAD_WITHOUT_HOST, RequestHead } from "../../src/net/head.ts";
import { mutateTarget, mutateText } from "./mutations.ts";
import { must } from "./oracle.ts";
import type { Random } from "./random.ts";
import { type Campaign, judge } from "./readers.ts";
import { httpRequests } from "./seeds.ts";

/** Longer seeds are mostly filling. */
const SEED_SIZE_MAX = 2048;

const FIELDS = [
  "Content-Length: 5",
  "Content-Length: 05",
  "Content-Length: -1",
  "Content-Length: 5, 5",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Host: a",
  "Host: a b",
  "Connection: close, keep-alive",
  "Expect: 100-continue",
  " folded: line",
  "space : here",
  "nocolon",
  ": empty",
  "X: \u00ff\u0080",
];
const CHARACTERS = "\r\n: \t\0\x7f/?,%\u00ff";

/** Heads of requests, and every now and then each beginning of one. */
export function headCampaign(): Campaign {
  const seeds = httpRequests()
    .filter(({ length }) => length <= SEED_SIZE_MAX)
    .map((request) => Buffer.from(request).toString("latin1"));
  const head = new RequestHead();
  const other = new RequestHead();
  return {
    name: "request heads",
    run(random, count) {
      let text = random.pick(seeds);
      for (let i = 0; i < count; i++) {
        text = mutateHead(random, i % 4 === 0 ? random.pick(seeds) : text);
        const verdict = head.read(text, 0);
        const cut = random.below(text.length + 1);
        judge(text, () => {
          must(verdict >= HEAD_OK && verdict <= HEAD_WITHOUT_HOST, `verdict ${verdict}`);
          if (verdict === HEAD_OK) judgeHead(head, text);
          judgeBeginning(other.read(text.slice(0, cut), 0), verdict, cut, head.end);
        });
      }
    },
  };
}

/** One change, of the target, of a field, or of anything; as latin1, as it comes from a socket. */
function mutateHead(random: Random, text: string): string {
  const kind = random.below(3);
  if (kind === 2) return mutateText(random, text, CHARACTERS).slice(0, 2 * SEED_SIZE_MAX);
  const lineEnd = text.indexOf("\r\n");
  if (lineEnd < 0) return text;
  if (kind === 1) {
    return `${text.slice(0, lineEnd)}\r\n${random.pick(FIELDS)}${text.slice(lineEnd)}`;
  }
  const parts = text.slice(0, lineEnd).split(" ");
  if (parts[1] === undefined) return text;
  // What is no byte cannot come from a socket.
  parts[1] = mutateTarget(random, parts[1]).replace(/[^\0-\u00ff]/g, "\u00ff");
  return (parts.join(" ") + text.slice(lineEnd)).slice(0, 2 * SEED_SIZE_MAX);
}

function judgeHead(head: RequestHead, text: string): void {
  const { methodFrom, methodTo, targetFrom, targetTo, pathFrom, fieldsFrom, end } = head;
  const places = [0, methodFrom, methodTo, targetFrom, pathFrom, targetTo, fieldsFrom, end];
  const ordered = places.every((place, i) => i === 0 || place >= places[i - 1]!);
  must(ordered && end <= text.length, `the parts are out of order: ${places.join(" ")}`);
  must(head.hostFrom <= head.hostTo && head.hostTo <= end, "the host lies elsewhere");
  const whole = text.slice(methodFrom, end);
  must(whole.endsWith("\r\n\r\n"), "it does not end with an empty line");
  must(whole.indexOf("\r\n\r\n") === whole.length - 4, "an empty line stands in it");
  must(!/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(whole), "a control byte is taken");
  must(!/\r(?!\n)|(?<!\r)\n/.test(whole), "half a line end is taken");
  must(!/\n[ \t]/.test(whole), "a folded line is taken");
  must(Number.isSafeInteger(head.bodySize) && head.bodySize >= -1, `a body of ${head.bodySize}`);
  const said = whole.matchAll(/^content-length:[ \t]*(\S*)/gim);
  const lengths = new Set([...said].map(([, digits]) => Number(digits))).size;
  const chunked = /^transfer-encoding:/im.test(whole);
  must(lengths <= 1 && !(lengths === 1 && chunked), "two readers may see two lengths");
  must(chunked === (head.bodySize === -1), "chunks and length disagree");
}

/** A verdict on the first `cut` characters, beside that on all of them. */
function judgeBeginning(verdict: number, whole: number, cut: number, end: number): void {
  if (whole === HEAD_OK && cut >= end) return must(verdict === HEAD_OK, "a whole head is refused");
  if (verdict === HEAD_INCOMPLETE) return;
  must(verdict !== HEAD_OK, "a beginning is taken for the whole");
  must(verdict === whole, `a beginning is refused as ${verdict}, the whole as ${whole}`);
}
