/**
 * What trackers of a cluster tell each other: the bytes of their messages, format version 1.
 *
 *   head of every message, 16 bytes          kinds
 *     0  2  "bt"                               1 deltas   to all, up to 20 times a second
 *     2  1  version                            2 hello    to all, each second
 *     3  1  kind                               3 ask      to one node: give me your peers
 *     4  8  origin: random for each start      4 state    to one node: some of them, or the end
 *    12  4  number of the origin's last batch; of a batch its own
 *
 *   1 deltas: records to the end             4 state
 *     0  2     flags                           16  2  session of the ask
 *     2  20    info hash                       18  2  1 at the end, else 0
 *    22  6|18  peer, as in replies             20  2  seconds that a tick of the giver lasts
 *                                              22  2  which chunk this is, from 0; at the end how
 *   2 hello                                           many there were
 *    16  2   seconds it keeps peers            24  …  a chunk of a snapshot, CHUNK_BYTES_MAX at
 *    18  1   n                                        most (snapshot/format.ts), or nothing: the
 *    19  1   1 drains, 2 has not caught up,           giver still looks; at the end, for each
 *            4 does not store all that it hears       origin, as in a hello
 *    20  4   seconds since it started        3 ask
 *    24  4   its clock, seconds since 1970     16  2  session     18  2  1 begins, 0 goes on
 *    28  20n 8 an origin                       20  2  since how many seconds, 65535 for all
 *            4 up to here this node has all    22  2  chunks that may be sent beside those so far
 *            4 the highest that it heard of
 *              (less than the first: `Had`)
 *            4 seconds since the origin started, 2^32 - 1 if not known
 *     …  …   name of the node, UTF-8
 *
 * Numbers are little-endian, and everything lies at even offsets. Flags that are not known here are
 * ignored. A message of another version or kind is told from one that is damaged, because the next
 * version will come; a length that does not come out even makes all of a message damaged. Nothing
 * here throws, whatever the bytes.
 */
export const FORMAT_VERSION = 1;
export const HEAD_BYTES = 16;

export const KIND_DELTAS = 1;
export const KIND_HELLO = 2;
export const KIND_ASK = 3;
export const KIND_STATE = 4;

/** Flags of a delta. */
export const DELTA_IPV6 = 1;
export const DELTA_SEEDER = 2;
export const DELTA_STOPPED = 4;
export const DELTA_COMPLETED = 8;
/** A download of a client that is no peer here, such as a browser. */
export const DELTA_DOWNLOAD = 16;

export const DELTA_BYTES_IPV4 = 28;
export const DELTA_BYTES_IPV6 = 40;

/** Limits of what one message carries. NATS takes 1 MiB; small messages never hold up a turn. */
export const BATCH_BYTES_MAX = 32 * 1024;
export const CHUNK_BYTES_MAX = 32 * 1024;
/** More than any message of this version has. */
export const MESSAGE_BYTES_MAX = HEAD_BYTES + 8 + CHUNK_BYTES_MAX;

const ORIGIN_BYTES = 8;
/** Origins that a hello, or the end of a state, names at most. */
export const KNOWN_MAX = 64;
const NAME_BYTES_MAX = 64;
/** Longest time that a message can tell, in seconds: 18 hours. */
export const SECONDS_MAX = 65_534;
/** Of an ask: everything, however old. */
const SINCE_ALL = 65_535;

const KNOWN_BYTES = ORIGIN_BYTES + 4;
const HAD_BYTES = ORIGIN_BYTES + 12;
const HELLO_BYTES = 28;
const ASK_BYTES = 24;
const STATE_BYTES = 24;
/** Of the time since an origin started. */
const NOT_KNOWN = 0xffff_ffff;
const FLAG_DRAINS = 1;
const FLAG_BEHIND = 2;
const FLAG_PARTIAL = 4;

/** An origin, 16 hexadecimal digits, and one of its numbers. */
export interface Known {
  origin: string;
  number: number;
}

/**
 * What a tracker has of an origin: all up to `number`, and not all up to `heard`. If `heard` is the
 * lower one, then all up to `heard`, and up to `number` what is left of it: the origin is gone, and
 * every other tracker was asked.
 */
export interface Had extends Known {
  heard: number;
  /** Seconds since the origin started; undefined if not known. */
  ageSeconds?: number | undefined;
}

/** The origin that sent a message, and the number in its head. */
interface Head extends Known {
  kind: number;
}

export interface Hello {
  /** How long it keeps a peer without an announce, in seconds; longer than SECONDS_MAX is cut. */
  keepsSeconds: number;
  /** It ends soon. */
  drains: boolean;
  /** It has started, and has not got the peers of another yet. */
  behind: boolean;
  /** Its lists or its memory keep out some of what it is told. */
  partial: boolean;
  /** How long ago it started. */
  upSeconds: number;
  /** What its clock says, in seconds since 1970. */
  clockSeconds: number;
  /** What it has of others; at most KNOWN_MAX. */
  had: Had[];
  /** Its name; cut to NAME_BYTES_MAX bytes. */
  name: string;
}

export interface Ask {
  session: number;
  begins: boolean;
  /** Announces younger than this are asked for; Infinity for all. */
  sinceSeconds: number;
  /** Chunks that may be sent beside those so far. */
  credit: number;
}

export interface State {
  session: number;
  tickSeconds: number;
  /** Which chunk it is, from 0, and after 65,535 again 0; at the end the number of chunks. */
  number: number;
  /** A chunk; undefined at the end. */
  chunk: Uint8Array | undefined;
  /** At the end: what the giver had when it began. */
  had: Had[];
}

/** A message that was read. The bytes in it are those of the message, not copies. */
export type Message = Head &
  (
    | { kind: typeof KIND_DELTAS; records: Uint8Array }
    | ({ kind: typeof KIND_HELLO } & Hello)
    | ({ kind: typeof KIND_ASK } & Ask)
    | ({ kind: typeof KIND_STATE } & State)
  );

/** Why a message is ignored: it is damaged, or of another version of the format. */
export type Unreadable = "bad" | "version";

/** Bytes of a delta with these flags. */
export const deltaBytes = (flags: number): number =>
  (flags & DELTA_IPV6) === 0 ? DELTA_BYTES_IPV4 : DELTA_BYTES_IPV6;

/** Reads a message, or says why it cannot be read. */
export function readMessage(bytes: Uint8Array): Message | Unreadable {
  if (bytes.length < HEAD_BYTES || bytes[0] !== 0x62 || bytes[1] !== 0x74) return "bad";
  if (bytes[2] !== FORMAT_VERSION) return "version";
  if (bytes.length > MESSAGE_BYTES_MAX) return "bad";
  const view = viewOf(bytes);
  const head = { ...knownAt(bytes, view, 4), kind: bytes[3] };
  switch (head.kind) {
    case KIND_DELTAS:
      return readDeltas(bytes, view, head);
    case KIND_HELLO:
      return readHello(bytes, view, head);
    case KIND_ASK:
      return readAsk(bytes, view, head);
    case KIND_STATE:
      return readState(bytes, view, head);
    default:
      return "version";
  }
}

/**
 * Version and name of the sender of a message of another version, as far as it can be told: a hello
 * names it where that of this version does. Else it is the origin, which each version has there.
 */
export function senderOf(bytes: Uint8Array): [version: number, node: string] {
  const view = viewOf(bytes);
  const head = { ...knownAt(bytes, view, 4), kind: bytes[3] };
  const hello = head.kind === KIND_HELLO ? readHello(bytes, view, head) : "bad";
  const name = typeof hello !== "string" && hello.kind === KIND_HELLO ? hello.name : "";
  return [bytes[2], name === "" ? head.origin : name];
}

function readDeltas(bytes: Uint8Array, view: DataView, head: Head): Message | Unreadable {
  if (bytes.length > HEAD_BYTES + BATCH_BYTES_MAX) return "bad";
  let at = HEAD_BYTES;
  while (at + 2 <= bytes.length) at += deltaBytes(view.getUint16(at, true));
  if (at !== bytes.length) return "bad";
  return { ...head, kind: KIND_DELTAS, records: bytes.subarray(HEAD_BYTES) };
}

function readHello(bytes: Uint8Array, view: DataView, head: Head): Message | Unreadable {
  if (bytes.length < HELLO_BYTES) return "bad";
  const count = bytes[18];
  const nameAt = HELLO_BYTES + HAD_BYTES * count;
  if (count > KNOWN_MAX || bytes.length < nameAt || bytes.length > nameAt + NAME_BYTES_MAX) {
    return "bad";
  }
  return {
    ...head,
    kind: KIND_HELLO,
    keepsSeconds: view.getUint16(16, true),
    drains: (bytes[19] & FLAG_DRAINS) !== 0,
    behind: (bytes[19] & FLAG_BEHIND) !== 0,
    partial: (bytes[19] & FLAG_PARTIAL) !== 0,
    upSeconds: view.getUint32(20, true),
    clockSeconds: view.getUint32(24, true),
    name: new TextDecoder().decode(bytes.subarray(nameAt)),
    // Read only when it is asked for: 64 of them take 8 µs, and of a flood most are left alone.
    get had() {
      return readHad(bytes, view, HELLO_BYTES, nameAt);
    },
  };
}

function readAsk(bytes: Uint8Array, view: DataView, head: Head): Message | Unreadable {
  const begins = bytes.length === ASK_BYTES ? view.getUint16(18, true) : 2;
  if (begins > 1) return "bad";
  const since = view.getUint16(20, true);
  return {
    ...head,
    kind: KIND_ASK,
    session: view.getUint16(16, true),
    begins: begins === 1,
    sinceSeconds: since === SINCE_ALL ? Infinity : since,
    credit: view.getUint16(22, true),
  };
}

function readState(bytes: Uint8Array, view: DataView, head: Head): Message | Unreadable {
  const ends = bytes.length < STATE_BYTES ? 2 : view.getUint16(18, true);
  const count = (bytes.length - STATE_BYTES) / HAD_BYTES;
  if (ends > 1 || (ends === 1 && (!Number.isInteger(count) || count > KNOWN_MAX))) return "bad";
  return {
    ...head,
    kind: KIND_STATE,
    session: view.getUint16(16, true),
    tickSeconds: view.getUint16(20, true),
    number: view.getUint16(22, true),
    chunk: ends === 1 ? undefined : bytes.subarray(STATE_BYTES),
    had: ends === 1 ? readHad(bytes, view, STATE_BYTES, bytes.length) : [],
  };
}

function readHad(bytes: Uint8Array, view: DataView, from: number, to: number): Had[] {
  const had: Had[] = [];
  for (let at = from; at < to; at += HAD_BYTES) {
    const heard = view.getUint32(at + KNOWN_BYTES, true);
    const age = view.getUint32(at + KNOWN_BYTES + 4, true);
    const known = { ...knownAt(bytes, view, at), heard };
    had.push(age === NOT_KNOWN ? known : { ...known, ageSeconds: age });
  }
  return had;
}

function knownAt(bytes: Uint8Array, view: DataView, at: number): Known {
  const origin = bytes.subarray(at, at + ORIGIN_BYTES).toHex();
  return { origin, number: view.getUint32(at + ORIGIN_BYTES, true) };
}

/** A batch: its records, as they came from the outboxes, behind a head. */
export function deltasMessage(sender: Known, records: Uint8Array): Uint8Array {
  const bytes = begin(KIND_DELTAS, sender, HEAD_BYTES + records.length);
  bytes.set(records, HEAD_BYTES);
  return bytes;
}

export function helloMessage(sender: Known, hello: Hello): Uint8Array {
  const had = hello.had.slice(0, KNOWN_MAX);
  const name = cutName(hello.name);
  const nameAt = HELLO_BYTES + HAD_BYTES * had.length;
  const bytes = begin(KIND_HELLO, sender, nameAt + name.length);
  const view = viewOf(bytes);
  view.setUint16(16, Math.min(SECONDS_MAX, Math.ceil(hello.keepsSeconds)), true);
  view.setUint32(20, Math.ceil(hello.upSeconds), true);
  view.setUint32(24, Math.floor(hello.clockSeconds), true);
  bytes[18] = had.length;
  bytes[19] =
    (hello.drains ? FLAG_DRAINS : 0) |
    (hello.behind ? FLAG_BEHIND : 0) |
    (hello.partial ? FLAG_PARTIAL : 0);
  putHad(bytes, HELLO_BYTES, had);
  bytes.set(name, nameAt);
  return bytes;
}

export function askMessage(sender: Known, ask: Ask): Uint8Array {
  const bytes = begin(KIND_ASK, sender, ASK_BYTES);
  const view = viewOf(bytes);
  const since = Math.ceil(ask.sinceSeconds);
  view.setUint16(16, ask.session, true);
  view.setUint16(18, ask.begins ? 1 : 0, true);
  view.setUint16(20, since > SECONDS_MAX ? SINCE_ALL : since, true);
  view.setUint16(22, ask.credit, true);
  return bytes;
}

export function stateMessage(sender: Known, state: State): Uint8Array {
  const had = state.had.slice(0, KNOWN_MAX);
  const size = state.chunk?.length ?? HAD_BYTES * had.length;
  const bytes = begin(KIND_STATE, sender, STATE_BYTES + size);
  const view = viewOf(bytes);
  view.setUint16(16, state.session, true);
  view.setUint16(18, state.chunk === undefined ? 1 : 0, true);
  view.setUint16(20, state.tickSeconds, true);
  view.setUint16(22, state.number & 0xffff, true);
  if (state.chunk !== undefined) bytes.set(state.chunk, STATE_BYTES);
  else putHad(bytes, STATE_BYTES, had);
  return bytes;
}

function begin(kind: number, sender: Known, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes[0] = 0x62;
  bytes[1] = 0x74;
  bytes[2] = FORMAT_VERSION;
  bytes[3] = kind;
  putKnown(bytes, 4, sender);
  return bytes;
}

function putHad(bytes: Uint8Array, from: number, had: readonly Had[]): void {
  const view = viewOf(bytes);
  for (const [i, one] of had.entries()) {
    const at = from + HAD_BYTES * i;
    putKnown(bytes, at, one);
    view.setUint32(at + KNOWN_BYTES, one.heard, true);
    const age = Math.min(NOT_KNOWN, Math.ceil(one.ageSeconds ?? NOT_KNOWN));
    view.setUint32(at + KNOWN_BYTES + 4, age, true);
  }
}

function putKnown(bytes: Uint8Array, at: number, { origin, number }: Known): void {
  bytes.set(Uint8Array.fromHex(origin), at);
  viewOf(bytes).setUint32(at + ORIGIN_BYTES, number, true);
}

/** A name's bytes, cut between two characters. */
function cutName(name: string): Uint8Array {
  const bytes = new Uint8Array(NAME_BYTES_MAX);
  const { written } = new TextEncoder().encodeInto(name, bytes);
  return bytes.subarray(0, written);
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
