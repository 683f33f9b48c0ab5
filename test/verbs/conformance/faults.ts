/** For each statement on HTTP and UDP, how a tracker breaks it. */
import type { Dict, Faults } from "./fake-tracker.ts";
import { unescaped } from "./fake-tracker.ts";

const MAGIC = 0x41727101980n;
const ANY_ID: Faults = { accepts: () => true };

/** Refuses announces that match. */
const refusing = (matches: NonNullable<Faults["refuses"]>): Faults => ({ refuses: matches });
const ifSo = (so: boolean) => (so ? "it is not taken" : undefined);
const withField = (name: string, pattern: RegExp): Faults =>
  refusing(({ query }) => ifSo(query.has(name) && pattern.test(query.get(name)!)));
const withOptions = (...first: number[]): Faults =>
  refusing(({ options }) => ifSo(first.every((byte, at) => options[at] === byte)));
/** Takes the peer's address from a field of the query. */
const believing = (name: string, digits: string): Faults => ({
  ask: (ask) => void (ask.query.has(name) && (ask.address = digits)),
});
const alteredAddress: Faults = {
  told: ({ peers }) => peers.forEach((peer) => (peer.address = peer.address.replace(/01$/, "02"))),
};
const swapped: Faults = {
  counts: (counts) =>
    void ([counts.complete, counts.incomplete] = [counts.incomplete, counts.complete]),
};
const setting = (key: string, value: Parameters<Dict["set"]>[1]): Faults => ({
  dict: (dict) => void dict.set(key, value),
});
/** Changes answers over UDP to an action. */
const onAction = (action: number, change: (reply: Buffer) => Buffer | undefined): Faults => ({
  udp: (reply, request) =>
    reply !== undefined && request.readUInt32BE(8) === action ? change(reply) : reply,
});
const flipTransaction = (reply: Buffer) => {
  const other = Buffer.from(reply);
  other[5] ^= 1;
  return other;
};
const bytes = (count: number) => Buffer.alloc(count, 3);
const seederIf = (is: (left: bigint) => boolean): Faults => ({
  ask: (ask) => void (is(ask.left) && (ask.left = 0n)),
});
let used = 0;
let uses = 0;

/** Of statements on both; `BEP0` is the BEP of either. */
const ON_SWARMS: Record<string, Faults> = {
  "BEP0.second-peer": { told: (told) => void (told.peers = []) },
  "BEP0.not-itself": { told: (told, ask) => void told.peers.push(ask) },
  "BEP0.early": refusing(({ known, event }) => ifSo(known && event !== "stopped")),
  "BEP0.interval": { told: (told) => void (told.interval = 0) },
  "BEP0.stopped-answered": refusing(({ event }) => ifSo(event === "stopped")),
  "BEP0.stopped-removes": { ask: (ask) => void (ask.event = "none") },
  "BEP0.stopped-unknown": { ask: (ask) => void (ask.known || (ask.event = "none")) },
  "BEP0.numwant-one": { ask: (ask) => void (ask.numwant = 50) },
  "BEP0.numwant-none": { ask: (ask) => void (ask.numwant = ask.numwant || 50) },
  "BEP0.numwant-default": { ask: (ask) => void (ask.numwant >= 0 || (ask.numwant = 0)) },
  "BEP0.numwant-huge": { told: (told, ask) => void (ask.numwant > 1000 && (told.peers = [])) },
  "BEP0.port-zero": { ask: (ask) => void (ask.storesPortZero = true) },
  "BEP52.two-swarms": {
    ask: ({ hash, key }, { swarms }) =>
      swarms.forEach(({ peers }, other) => other !== hash && peers.delete(key)),
  },
  "BEP0.counts": {
    told: (told) => void ([told.seeders, told.leechers] = [told.leechers, told.seeders]),
  },
  "BEP0.left-unknown": seederIf((left) => left > 2n ** 62n),
  "BEP0.left-64-bits": seederIf((left) => left % 2n ** 32n === 0n),
  "BEP0.left-zero": { ask: (ask) => void (ask.left = 1n) },
  "BEP0.announced-twice": { ask: (ask) => void (ask.key = String((used += 1))) },
  "BEP0.completed": { ask: (ask) => void (ask.event === "completed" && (ask.left = 1n)) },
  "BEP0.completed-once": {
    ask: ({ event, hash }, { swarms }) =>
      void (event === "completed" && (swarms.get(hash)!.completed += 1)),
  },
  "BEP21.paused": refusing(({ event }) => ifSo(event === "paused")),
  "BEP21.paused-counted": { ask: (ask) => void (ask.event === "paused" && (ask.left = 0n)) },
  "BEP48.reads": { counts: (counts) => void (counts.downloaded = used += 1) },
};

function onSwarms(bep: string): Record<string, Faults> {
  const entries = Object.entries(ON_SWARMS);
  return Object.fromEntries(entries.map(([id, fault]) => [id.replace("BEP0", bep), fault]));
}

const hashOf = (length: number | undefined): Faults => ({
  lenient: (name, value) => name === "info_hash" && value?.length === length,
});

export const HTTP_FAULTS: Record<string, Faults> = {
  ...onSwarms("BEP3"),
  "BEP3.status": { http: (answer) => void (answer.status = 202) },
  "BEP3.bencode": { http: (answer) => void (answer.body += "\n") },
  "BEP3.sorted": { http: (answer) => void (answer.body = answer.body.replace("d", "d1:z0:")) },
  "BEP3.peers": { dict: (dict) => void (dict.get("peers") === "" && dict.delete("peers")) },
  "BEP3.peers-stopped": {
    dict: (dict, ask) => void (ask?.event === "stopped" && dict.delete("peers")),
  },
  "BEP3.min-interval": setting("min interval", 3600),
  "BEP3.no-tracker-id": setting("tracker id", "a+b"),
  "BEP3.failure-form": {
    http: (answer) => void (answer.body.includes("failure") && (answer.status = 400)),
  },
  "BEP31.retry-in": setting("retry in", 5),
  "BEP24.external-ip": setting("external ip", "\x01\x02\x03\x04"),
  "BEP3.escapes": {
    decode: (raw) => unescaped(raw.length < 60 && raw.includes("%") ? `${raw.slice(1)}x` : raw),
  },
  "BEP3.bytes": { ask: (ask) => void (ask.hash = ask.hash.split("\0")[0]) },
  "BEP3.hash-short": hashOf(19),
  "BEP3.hash-long": hashOf(21),
  "BEP3.hash-hex": hashOf(40),
  "BEP3.hash-missing": hashOf(undefined),
  "BEP52.hash-long": hashOf(32),
  "BEP3.peer-id": { lenient: (name) => name === "peer_id" },
  "BEP3.port-overflow": { port: (text) => Number(text) & 0xffff },
  "BEP3.port-negative": { port: (text) => Number(text) & 0xffff },
  "BEP3.port-text": { port: (text) => parseInt(text) },
  "BEP3.fields-unknown": refusing(({ query }) => ifSo(query.has("azudp"))),
  "BEP3.event-empty": withField("event", /^$/),
  "BEP3.event-unknown": withField("event", /resumed/),
  "BEP3.left-missing": { ask: (ask) => void (ask.query.has("left") || (ask.left = 0n)) },
  "BEP3.left-negative": {
    ask: (ask) => void (ask.query.get("left") === "-1" && (ask.left = 0n)),
  },
  "BEP3.amounts": withField("uploaded", /.{20}/),
  "BEP3.ip": believing("ip", "c0000201"),
  "BEP7.ipv4": believing("ipv4", "c0000201"),
  "BEP7.ipv6": believing("ipv6", "20010db8000000000000000000000077"),
  "BEP7.addresses-taken": withField("ipv4", /./),
  "BEP7.key": withField("key", /[^0-9A-F]/),
  "BEP23.compact": {
    dict: (dict, ask) => void (ask?.query.get("compact") === "1" && dict.set("peers", [])),
  },
  "BEP23.compact-default": {
    dict: (dict, ask) => void (ask?.query.has("compact") || dict.set("peers", [])),
  },
  "BEP23.compact-zero": withField("compact", /0/),
  "BEP23.source": alteredAddress,
  "BEP7.peers6": { dict: (dict) => void (dict.has("peers6") && dict.set("peers6", "")) },
  "BEP3.http-1.0": { http: (answer, version) => void (answer.silent = version === "HTTP/1.0") },
  "BEP3.keep-alive": { http: (answer) => void (answer.closes = true) },
  "BEP3.length": {
    http: (answer) => void (answer.fields.delete("Content-Length") && (answer.closes = true)),
  },
  "BEP48.files": swapped,
  "BEP48.sorted": { hashes: (hashes) => [...new Set(hashes)].sort().reverse() },
  "BEP48.twice": { hashes: (hashes) => hashes },
  "BEP48.unknown": { hashes: (hashes, { swarms }) => hashes.filter((hash) => swarms.has(hash)) },
  "BEP48.many": { hashes: (hashes) => hashes.slice(0, 1) },
  "BEP48.bytes": { name: (hash) => Buffer.from(hash).toString("latin1") },
  "BEP48.fields-unknown": { refusesScrape: (query) => query.includes("azsf") },
  "BEP48.none": {
    hashes: (hashes, { swarms }) => (hashes.length > 0 ? hashes : [...swarms.keys()]),
  },
  "BEP48.flags": setting("flags", new Map([["min_request_interval", "soon"]])),
  "BEP21.downloaders": { file: (file) => void file.set("downloaders", file.get("incomplete")!) },
};

export const UDP_FAULTS: Record<string, Faults> = {
  ...onSwarms("BEP15"),
  "BEP15.connect-size": onAction(0, (reply) => Buffer.concat([reply, bytes(4)])),
  "BEP15.connect-transaction": onAction(0, flipTransaction),
  "BEP15.connect-id": { id: () => 0n },
  "BEP15.connect-secret": { id: () => MAGIC },
  "BEP15.connect-longer": {
    udp: (reply, { length }) => (length === 32 ? undefined : reply),
  },
  "BEP15.connect-short": { udp: (reply, { length }) => (length < 16 ? bytes(8) : reply) },
  "BEP15.connect-magic": {
    udp: (reply, request) =>
      request.length === 16 && request[11] === 0 && request.readBigUInt64BE() !== MAGIC
        ? Buffer.concat([request.subarray(8, 16), bytes(8)])
        : reply,
  },
  "BEP15.id-again": { accepts: (_, __, right) => right && (uses += 1) === 1 },
  "BEP15.id-other-port": { id: (port) => BigInt(port) },
  "BEP15.id-wrong": ANY_ID,
  "BEP15.id-constant": { accepts: (id, _, right) => right || id === MAGIC },
  "BEP15.id-reflection": {
    udp: (reply, { length, 11: action }) => (length === 16 && action === 2 ? bytes(33) : reply),
  },
  "BEP15.announce-transaction": onAction(1, flipTransaction),
  "BEP15.announce-short": {
    udpIn: (request) => (request.length === 97 ? Buffer.concat([request, bytes(1)]) : request),
  },
  "BEP15.announce-ip": {
    ask: (ask) =>
      void (ask.ip > 0 && (ask.address = ask.ip.toString(16).padStart(ask.address.length, "0"))),
  },
  "BEP15.announce-ip-listed": { ask: (ask) => void (ask.ip > 0 && (ask.port = 0)) },
  "BEP15.left-minus-one": seederIf((left) => left === 2n ** 64n - 1n),
  "BEP15.action-unknown": {
    udp: (reply, request) => (request[11] === 77 ? request.subarray(8, 16) : reply),
  },
  "BEP15.action-error": { udp: (reply, request) => (request[11] === 3 ? bytes(8) : reply) },
  "BEP7.udp-ipv4": alteredAddress,
  "BEP7.udp-ipv6": alteredAddress,
  "BEP15.scrape-order": swapped,
  "BEP15.scrape-positions": { hashes: (hashes) => [...new Set(hashes)] },
  "BEP15.scrape-unknown": { counts: (counts) => void (counts.downloaded += 7) },
  "BEP15.scrape-many": { hashes: (hashes) => hashes.slice(0, 50) },
  "BEP15.scrape-partial": {
    udpIn: (request) => (request.length === 43 ? Buffer.concat([request, bytes(13)]) : request),
  },
  "BEP15.scrape-none": {
    hashes: (hashes, { swarms }) => (hashes.length > 0 ? hashes : [...swarms.keys()]),
  },
  "BEP41.url": withOptions(2, 15),
  "BEP41.url-empty": withOptions(2, 0),
  "BEP41.url-parts": withOptions(2, 4),
  "BEP41.nop": withOptions(1),
  "BEP41.end": withOptions(0, 2),
  "BEP41.unknown": withOptions(200),
  "BEP41.cut": withOptions(2, 99),
  "BEP41.aria2": withOptions(0, 0),
  "BEP41.auth": withOptions(117),
};
