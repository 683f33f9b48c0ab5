/**
 * Requests to trackers and parsers of their answers, over HTTP and UDP, for `selftest`.
 *
 * Any server may answer, with any bytes. A parser returns numbers, or throws an error with a
 * printable sentence. What some clients stumble over, but not all, it adds to `flaws`.
 */
import { type Bencoded, readBencode } from "./bencode-reader.ts";
import type { HttpAnswer } from "./http-answer.ts";
import { excerpt } from "./printable.ts";

export interface Announcement {
  /** 20 bytes each. */
  infoHash: Uint8Array;
  peerId: Uint8Array;
  port: number;
  left: number;
  event: "none" | "started" | "completed" | "stopped";
}

export interface Announced {
  /** Seconds to wait before the next announce. */
  interval: number;
  seeders: number;
  leechers: number;
  /** Ports of the peers in the answer, which identify them in a test. */
  peerPorts: number[];
}

export interface Scraped {
  seeders: number;
  leechers: number;
}

/** Parses the answer to an announce over UDP, 20 bytes or more. Throws a sentence. [BEP 15] */
export function readUdpAnnounced(reply: Buffer, family: 4 | 6): Announced {
  const peerPorts = readPorts(reply.subarray(20), family === 4 ? 6 : 18);
  if (peerPorts === undefined) throw new Error("the list of peers has a wrong length");
  const [interval, leechers, seeders] = [8, 12, 16].map((at) => reply.readInt32BE(at));
  return { interval, leechers, seeders, peerPorts };
}

/** Ports of peers of `size` bytes each, 6 or 18; undefined if the length does not fit. */
export function readPorts(bytes: Uint8Array, size: number): number[] | undefined {
  if (bytes.length % size !== 0) return undefined;
  const ports: number[] = [];
  for (let at = size - 2; at < bytes.length; at += size)
    ports.push((bytes[at] << 8) | bytes[at + 1]);
  return ports;
}

type Dictionary = Map<string, Bencoded>;

/** The dictionary in an answer. Throws a sentence if it has no dictionary. */
function readReply({ status, body }: HttpAnswer, flaws: string[]): Dictionary {
  const { value: reply, sorted } = readBencode(body) ?? {};
  if (sorted === false) flaws.push("its keys are not sorted or repeated: strict clients refuse it");
  if (!(reply instanceof Map)) {
    const what = status === 200 ? "the answer is not bencoded" : `the status is ${status}`;
    throw new Error(`${what}: is that a tracker, and its path?`);
  }
  if (status !== 200) flaws.push(`the status is ${status}, not 200: most clients drop the answer`);
  const reason = reply.get("failure reason");
  if (reason !== undefined) {
    const text = typeof reason === "string" ? Buffer.from(reason, "latin1").toString("utf8") : "";
    throw new Error(`refused: ${excerpt(text)}`);
  }
  return reply;
}

/** Parses the answer to an announce over HTTP. Throws a sentence. */
export function readAnnounced(answer: HttpAnswer, flaws: string[] = []): Announced {
  const reply = readReply(answer, flaws);
  const interval = numberOf(reply.get("interval"));
  if (interval === undefined) throw new Error("the answer names no interval");
  const shortest = reply.get("min interval");
  if (shortest !== undefined && numberOf(shortest) === undefined) {
    flaws.push("its min interval is not a number");
  } else if (Number(shortest ?? 0) > interval) {
    flaws.push(`its min interval is ${shortest} s, longer than the interval of ${interval} s`);
  }
  if (!reply.has("peers")) flaws.push("it has no key peers, without which some clients fail");
  const lists = [["peers", 6] as const, ["peers6", 18] as const].map(([key, size]) => {
    const peers = reply.get(key) ?? "";
    return typeof peers === "string" ? readPorts(Buffer.from(peers, "latin1"), size) : [];
  });
  const wide = reply.get("peers");
  if (Array.isArray(wide)) {
    lists.push(wide.map((one) => (one instanceof Map ? (numberOf(one.get("port")) ?? 0) : 0)));
  }
  if (lists.includes(undefined)) throw new Error("the list of peers has a wrong length");
  const peerPorts = lists.flatMap((ports) => ports ?? []);
  const seeders = numberOf(reply.get("complete"));
  const leechers = numberOf(reply.get("incomplete"));
  // Not all trackers send counts; then the peers in the answer are counted.
  const counted = seeders === undefined && leechers === undefined ? peerPorts.length : 0;
  return { interval, seeders: seeders ?? counted, leechers: leechers ?? 0, peerPorts };
}

/** Parses the counts of a swarm in the answer to a scrape over HTTP. Throws a sentence. */
export function readScraped(
  answer: HttpAnswer,
  infoHash: Uint8Array,
  flaws: string[] = [],
): Scraped {
  const reply = readReply(answer, flaws);
  const files = reply.get("files");
  const key = Buffer.from(infoHash).toString("latin1");
  const file = files instanceof Map ? files.get(key) : undefined;
  if (!(file instanceof Map)) throw new Error("the answer does not have the swarm");
  const count = (name: string) => numberOf(file.get(name)) ?? 0;
  return { seeders: count("complete"), leechers: count("incomplete") };
}

function numberOf(value: Bencoded | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}
