/**
 * What every reply must be, whatever the request was. A broken promise is thrown as a sentence.
 *
 * Written from the specifications alone: nothing of `src` is used here, so a reader and a writer of
 * the tracker that are wrong in the same way do not agree with the oracle.
 *
 * https://www.bittorrent.org/beps/bep_0003.html, 15, 23, 48
 */
import { decodeDictionary, type Bencoded, type Dictionary } from "../e2e/bencode.ts";

export const MAGIC = Uint8Array.fromHex("0000041727101980");

/** Throws the sentence unless the promise is kept. */
export function must(kept: boolean, sentence: string): void {
  if (!kept) throw new Error(sentence);
}

/** What is known of a datagram that was sent, and under which settings. */
export interface Asked {
  bytes: Uint8Array;
  /** It began with a connection id that is good for its sender. */
  proven: boolean;
  family: 4 | 6;
  replyBytesMax: number;
  scrapeMax: number;
  /** An announce may be refused, here because of where it comes from. */
  mayRefuse?: boolean;
}

/** Judges a reply to a datagram; silence is always allowed and not asked about. */
export function judgeDatagram(asked: Asked, reply: Uint8Array): void {
  const { bytes, proven } = asked;
  must(bytes.length >= 16, "a datagram too short for any request got a reply");
  must(reply.length >= 8, "a reply has no room for its head");
  must(reply.length <= asked.replyBytesMax, "a reply is longer than the setting allows");
  const [action, replied] = [u32(bytes, 8), u32(reply, 0)];
  must(u32(bytes, 12) === u32(reply, 4), "the transaction id is not echoed");
  if (!proven || action === 0) {
    must(action === 0 && replied === 0, "an address that has proven nothing got more than an id");
    must(
      MAGIC.every((byte, i) => bytes[i] === byte),
      "a connect without its magic got a reply",
    );
    must(reply.length === 16 && bytes.length >= 16, "a reply to a connect is not 16 bytes");
    must(u32(reply, 8) !== 0 || u32(reply, 12) !== 0, "a connection id is 0");
  } else if (replied === 1) {
    must(action === 1 && bytes.length >= 98, "no announce got a reply to one");
    judgeAnnounceReply(asked, reply);
  } else if (replied === 2) {
    must(action === 2, "no scrape got a reply to one");
    judgeScrapeReply(asked, reply);
  } else {
    must(replied === 3, `a reply has the action ${replied}`);
    const refused = action === 1 && asked.mayRefuse === true;
    must(action > 3 || refused, "a known action got an error");
    const text = Buffer.from(reply.subarray(8)).toString("latin1");
    must(/^[ -~]+$/.test(text), "an error is no printable text");
  }
}

function judgeAnnounceReply({ bytes, family }: Asked, reply: Uint8Array): void {
  const stride = family === 4 ? 6 : 18;
  must(reply.length >= 20 && (reply.length - 20) % stride === 0, "the peers are not whole");
  const peers = (reply.length - 20) / stride;
  for (let at = 8; at < 20; at += 4) must(reply[at]! < 0x80, "a number of an announce is negative");
  const wanted = u32(bytes, 92) | 0;
  must(peers <= (wanted < 0 ? 50 : Math.min(wanted, 200)), "more peers than wanted");
  if (u32(bytes, 80) === 3) must(peers === 0, "who stops is told of peers");
  for (let at = 20; at < reply.length; at += stride) {
    const port = reply[at + stride - 2]! * 256 + reply[at + stride - 1]!;
    must(port !== 0, "a peer has port 0");
  }
}

function judgeScrapeReply({ bytes, scrapeMax, replyBytesMax }: Asked, reply: Uint8Array): void {
  const fitting = Math.floor((replyBytesMax - 8) / 12);
  const hashes = Math.min(Math.floor((bytes.length - 16) / 20), scrapeMax, fitting);
  must(reply.length === 8 + 12 * hashes, "a scrape reply does not answer each hash");
  for (let at = 8; at < reply.length; at += 4) must(reply[at]! < 0x80, "a count is negative");
}

/** Judges the body of a reply over HTTP with status 200 to an announce or a scrape. */
export function judgeBody(body: Uint8Array): void {
  const reply = decodeDictionary(body);
  if (reply["failure reason"] !== undefined) return judgeFailure(reply);
  if (reply["files"] !== undefined) return judgeFiles(reply["files"]);
  const known =
    "complete,downloaded,external ip,incomplete,interval,min interval,peers,peers6,warning message";
  const strange = Object.keys(reply).filter((key) => !known.split(",").includes(key));
  must(strange.length === 0, `a reply has the keys ${strange.join(", ")}`);
  for (const key of ["complete", "downloaded", "incomplete", "interval", "min interval"]) {
    must((reply[key] as number) >= 0, `${key} is ${String(reply[key])}`);
  }
  must([4, 16].includes((reply["external ip"] as string).length), "the address is no address");
  judgePeers(reply["peers"]!, reply["peers6"]);
}

function judgeFailure(reply: Dictionary): void {
  must(/^[ -~]{1,120}$/.test(reply["failure reason"] as string), "a failure is no short text");
}

function judgeFiles(files: Bencoded): void {
  for (const [hash, entry] of Object.entries(files as Dictionary)) {
    must(hash.length === 20, "a scraped info hash is not 20 bytes");
    const keys = Object.entries(entry as Dictionary);
    must(keys.map(([key]) => key).join() === "complete,downloaded,incomplete", "entry of a scrape");
    for (const [, count] of keys) must((count as number) >= 0, "a count is negative");
  }
}

function judgePeers(peers: Bencoded, peers6: Bencoded | undefined): void {
  if (Array.isArray(peers)) {
    for (const peer of peers as Dictionary[])
      must((peer["port"] as number) > 0, "port 0 in a list");
    return;
  }
  const ports = [...portsOf(peers as string, 6), ...portsOf((peers6 ?? "") as string, 18)];
  must(ports.length <= 200, "more peers than allowed");
  must(
    ports.every((port) => port > 0),
    "a peer has port 0",
  );
}

function portsOf(peers: string, stride: number): number[] {
  must(peers.length % stride === 0, "the peers are not whole");
  return Array.from({ length: peers.length / stride }, (_, i) => {
    const at = (i + 1) * stride - 2;
    return peers.charCodeAt(at) * 256 + peers.charCodeAt(at + 1);
  });
}

export function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}
