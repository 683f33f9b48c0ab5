/**
 * Replays `test/corpus/udp_packets.jsonl`: one line, its sockets, its steps, one verdict.
 *
 * A step is a datagram; its answers are everything the tracker sends before it answers a connect
 * sent behind it (see `datagrams.ts`), so silence is observed, not guessed from a clock. More
 * than one answer is a problem whatever the step allows.
 *
 * Senders: A and B are two ports of one address, C is another address. Over ::1 there is no other
 * address, so a line that needs C, or whose content is IPv4, is not family-neutral.
 */

import { type Datagrams, openDatagrams, randomBytes, readPeerIpv4 } from "./datagrams.ts";
import { inParallel } from "./harness.ts";

/** What kind of answer a datagram got. */
export type UdpClass =
  "connect-response" | "announce-response" | "scrape-response" | "error" | "silence" | "malformed";

type Sender = "A" | "B" | "C";

/** One datagram of a line, and what its answer must look like. Hex, with two placeholders. */
export interface UdpStep {
  expect: UdpClass;
  accept: UdpClass[];
  send?: string;
  parts?: [hex: string, times: number][];
  conn?: string;
  src?: Sender;
  fam?: 4 | 6;
  wait_s?: number;
  resp_len?: number;
  resp_mod?: [base: number, stride: number];
  max_resp?: number;
  max_peers?: number;
  id_not?: string[];
  want_counts?: { leechers: number; seeders: number };
  want_scrape?: (number | null)[][];
  must_list?: [sender: string, port: number];
  must_not_list?: [sender: string, port: number];
}

/** One line of the corpus. `family` 46 is an IPv4 sender and a dual-stack listener. */
export interface UdpRecord {
  id: string;
  group: string;
  description: string;
  why: string;
  strict: boolean;
  steps: UdpStep[];
  ih?: string;
  family?: 4 | 6 | 46;
  slow?: boolean;
  after_scrape?: { complete: number; incomplete: number } | null;
}

/** What became of one line: a class for each step, and every check it failed, as sentences. */
export interface UdpOutcome {
  record: UdpRecord;
  got: UdpClass[];
  problems: string[];
}

const PARALLEL = 24;
const SOURCE_IPV4 = { A: "127.0.0.1", B: "127.0.0.1", C: "127.0.0.3" };
const CLASS_OF_ACTION: readonly UdpClass[] = [
  "connect-response",
  "announce-response",
  "scrape-response",
  "error",
];
/** Least bytes of an answer by action. */
const ANSWER_SIZE_MIN = [16, 20, 8, 8];
const PEER_STRIDE = { 4: 6, 6: 18 } as const;

/** All lines, in the order of the file. */
export async function readUdpCorpus(): Promise<UdpRecord[]> {
  const path = `${import.meta.dir}/../corpus/udp_packets.jsonl`;
  const lines = (await Bun.file(path).text()).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as UdpRecord);
}

/** Whether a line means the same when every datagram of it is sent from ::1. */
export function isFamilyNeutral(record: UdpRecord): boolean {
  if (record.family !== undefined) return false;
  return record.steps.every((step) => {
    const needsAddress = step.src === "C" || step.conn === "other-ip" || step.fam !== undefined;
    return !needsAddress && !step.must_list && !step.must_not_list && step.max_peers === undefined;
  });
}

/** Replays the lines against a fresh tracker on `port`, those without a family over `family`. */
export async function replayUdp(
  port: number,
  family: 4 | 6,
  records: readonly UdpRecord[],
): Promise<UdpOutcome[]> {
  return await inParallel(records, PARALLEL, async (record) => {
    using replay = new Replay(port, record, record.family === 46 ? 4 : (record.family ?? family));
    return await replay.run();
  });
}

/** One line under way: its sockets and its connection ids. */
class Replay implements Disposable {
  readonly #port: number;
  readonly #record: UdpRecord;
  readonly #family: 4 | 6;
  readonly #sockets = new Map<string, Datagrams>();
  readonly #connectionIds = new Map<string, Uint8Array>();

  constructor(port: number, record: UdpRecord, family: 4 | 6) {
    this.#port = port;
    this.#record = record;
    this.#family = family;
  }

  async run(): Promise<UdpOutcome> {
    const got: UdpClass[] = [];
    const problems: string[] = [];
    for (const [index, step] of this.#record.steps.entries()) {
      const outcome = await this.#step(step);
      got.push(outcome.got);
      problems.push(...outcome.problems.map((problem) => `step ${index}: ${problem}`));
    }
    problems.push(...(await this.#checkScrape()));
    return { record: this.#record, got, problems };
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets.values()) socket.close();
  }

  async #step(step: UdpStep): Promise<{ got: UdpClass; problems: string[] }> {
    const family = step.fam ?? this.#family;
    const socket = await this.#socket(step.src ?? "A", family);
    const datagram = Buffer.from(await this.#fill(step, family), "hex");
    const answers = await socket.exchange(datagram);
    const got = classify(answers[0], datagram.subarray(12, 16));
    const problems = [
      ...(answers.length > 1 ? [`${answers.length} answers`] : []),
      ...(step.accept.includes(got) ? [] : [`got ${got}, acceptable: ${step.accept.join(", ")}`]),
      ...(answers[0] ? checkAnswer(step, got, answers[0], family) : []),
    ];
    return { got, problems };
  }

  /** The hex of a step with its placeholders filled; waits first where the line says so. */
  async #fill(step: UdpStep, family: 4 | 6): Promise<string> {
    const { src = "A", conn = "own" } = step;
    let hex = step.send ?? (step.parts ?? []).map(([part, times]) => part.repeat(times)).join("");
    hex = hex.replaceAll("{TX}", randomBytes(4).toHex());
    if (!hex.includes("{CONN}")) return hex;
    const connectionId = await this.#connectionIdFor(conn, src, family);
    if (step.wait_s !== undefined) await Bun.sleep(step.wait_s * 1000);
    return hex.replaceAll("{CONN}", connectionId.toHex());
  }

  async #connectionIdFor(kind: string, sender: Sender, family: 4 | 6): Promise<Uint8Array> {
    if (kind === "zero") return new Uint8Array(8);
    if (kind === "random") return randomBytes(8);
    if (kind === "other-ip") return await this.#connectionId(sender === "C" ? "A" : "C", family);
    if (kind === "other-port") return await this.#connectionId(sender === "B" ? "A" : "B", family);
    const own = (await this.#connectionId(sender, family)).slice();
    if (kind === "own") return own;
    if (kind === "swap") return own.reverse();
    const bit = Number(/^flip:(\d+)$/.exec(kind)?.[1]);
    if (!(bit < 64)) throw new Error(`the corpus asks for an unknown connection id: ${kind}`);
    own[bit >> 3]! ^= 0x80 >> (bit & 7);
    return own;
  }

  async #connectionId(sender: Sender, family: 4 | 6): Promise<Uint8Array> {
    const key = `${sender} ${family}`;
    const known = this.#connectionIds.get(key);
    if (known !== undefined) return known;
    const fresh = await (await this.#socket(sender, family)).connect();
    this.#connectionIds.set(key, fresh);
    return fresh;
  }

  async #socket(sender: Sender, family: 4 | 6): Promise<Datagrams> {
    const key = `${sender} ${family}`;
    const known = this.#sockets.get(key);
    if (known !== undefined) return known;
    const fresh =
      family === 6
        ? await openDatagrams("::1", this.#port)
        : await openDatagrams("127.0.0.1", this.#port, SOURCE_IPV4[sender]);
    this.#sockets.set(key, fresh);
    return fresh;
  }

  /** What a scrape of the line's info hash says afterwards, against what it should. */
  async #checkScrape(): Promise<string[]> {
    const want = this.#record.after_scrape;
    if (!want || this.#record.ih === undefined) return [];
    const socket = await this.#socket("A", this.#family);
    const connectionId = await this.#connectionId("A", this.#family);
    const request = `${connectionId.toHex()}00000002${randomBytes(4).toHex()}${this.#record.ih}`;
    const answer = (await socket.exchange(Buffer.from(request, "hex")))[0];
    if (answer?.length !== 20) return ["a scrape afterwards is not answered"];
    const [seeders, , leechers] = readCounts(answer)[0]!;
    if (seeders === want.complete && leechers === want.incomplete) return [];
    const wanted = `${want.complete} and ${want.incomplete}`;
    return [`a scrape says ${seeders} seeders and ${leechers} leechers, not ${wanted}`];
  }
}

function classify(answer: Uint8Array | undefined, transaction: Uint8Array): UdpClass {
  if (answer === undefined) return "silence";
  if (answer.length < 8) return "malformed";
  const action = view(answer).getUint32(0);
  if (action >= CLASS_OF_ACTION.length) return "malformed";
  if (answer.length < ANSWER_SIZE_MIN[action]!) return "malformed";
  const echoed = transaction.length < 4 || answer.subarray(4, 8).toHex() === transaction.toHex();
  return echoed ? CLASS_OF_ACTION[action]! : "malformed";
}

function checkAnswer(step: UdpStep, got: UdpClass, answer: Uint8Array, family: 4 | 6): string[] {
  const problems: string[] = [];
  const size = answer.length;
  if (step.max_resp !== undefined && size > step.max_resp) {
    problems.push(`${size} bytes of answer, at most ${step.max_resp} allowed`);
  }
  if (got === step.expect) problems.push(...checkSize(step, size, family));
  const id = answer.subarray(8, 16).toHex();
  if (got === "connect-response" && step.id_not?.includes(id)) problems.push(`fixed id ${id}`);
  if (got === "announce-response") problems.push(...checkAnnounce(step, answer, family));
  if (got === "scrape-response") problems.push(...checkScrapeAnswer(step, answer));
  return problems;
}

/** A stride of 6 in the corpus means "peers of the sender's family". */
function checkSize(step: UdpStep, size: number, family: 4 | 6): string[] {
  if (step.resp_len !== undefined && size !== step.resp_len) {
    return [`${size} bytes of answer, not ${step.resp_len}`];
  }
  if (step.resp_mod === undefined) return [];
  const [base, written] = step.resp_mod;
  const stride = written === 6 ? PEER_STRIDE[family] : written;
  if (size >= base && (size - base) % stride === 0) return [];
  return [`${size} bytes of answer, not ${base} and a multiple of ${stride}`];
}

function checkAnnounce(step: UdpStep, answer: Uint8Array, family: 4 | 6): string[] {
  const problems: string[] = [];
  const fields = view(answer);
  const [interval, leechers, seeders] = [8, 12, 16].map((at) => fields.getInt32(at));
  if (interval! <= 0) problems.push(`interval ${interval}`);
  const want = step.want_counts;
  if (want && (want.leechers !== leechers || want.seeders !== seeders)) {
    problems.push(`${leechers} leechers and ${seeders} seeders, not ${JSON.stringify(want)}`);
  }
  if (family === 6) return problems;
  const peers: string[] = [];
  for (let at = 20; at + 6 <= answer.length; at += 6) peers.push(readPeerIpv4(answer.subarray(at)));
  if (step.max_peers !== undefined && peers.length > step.max_peers) {
    problems.push(`${peers.length} peers, at most ${step.max_peers} allowed`);
  }
  if (step.must_list && !peers.includes(peerText(step.must_list))) {
    problems.push(`${peerText(step.must_list)} is not among ${peers.join(" ")}`);
  }
  if (step.must_not_list && peers.includes(peerText(step.must_not_list))) {
    problems.push(`${peerText(step.must_not_list)} is handed out`);
  }
  return problems;
}

function checkScrapeAnswer(step: UdpStep, answer: Uint8Array): string[] {
  if (step.want_scrape === undefined) return [];
  const counts = readCounts(answer);
  const fits =
    counts.length === step.want_scrape.length &&
    step.want_scrape.every((triple, index) =>
      triple.every((want, field) => want === null || want === counts[index]![field]),
    );
  if (fits) return [];
  return [`scrape ${JSON.stringify(counts)}, not ${JSON.stringify(step.want_scrape)}`];
}

/** Seeders, completed and leechers of each hash of a scrape response. */
function readCounts(answer: Uint8Array): number[][] {
  const fields = view(answer);
  const counts: number[][] = [];
  for (let at = 8; at + 12 <= answer.length; at += 12) {
    counts.push([0, 4, 8].map((field) => fields.getUint32(at + field)));
  }
  return counts;
}

function peerText([sender, port]: [sender: string, port: number]): string {
  const address = SOURCE_IPV4[sender as Sender] ?? sender;
  return `${address}:${port}`;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
