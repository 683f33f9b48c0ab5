/**
 * Private torrents of one random file, so that every pair of clients has a swarm of its own.
 *
 * `private` makes every client leave DHT, PEX and LSD alone, so that peers can only have come from
 * the tracker. [BEP 3; BEP 27]
 */

import { join } from "node:path";

/** Enough pieces that a transfer is one, few enough that it is quick. */
const FILE_BYTES = 1_000_003;
const PIECE_BYTES = 32 * 1024;

/** Name of the file, and of the torrent beside it. */
const FILE_NAME = "payload.bin";
const TORRENT_NAME = "payload.torrent";

/** A torrent on disk. */
export interface Torrent {
  path: string;
  infoHash: Uint8Array;
  /** SHA-256 of the file, in hex. */
  digest: string;
}

type Value = number | string | Uint8Array | { [key: string]: Value };

/** Writes a new random file to `seedDirectory`, and a torrent of it that announces to `url`. */
export async function makeTorrent(seedDirectory: string, url: string): Promise<Torrent> {
  const file = new Uint8Array(FILE_BYTES);
  for (let at = 0; at < file.length; at += 65536) {
    crypto.getRandomValues(file.subarray(at, at + 65536));
  }
  const info = {
    length: FILE_BYTES,
    name: FILE_NAME,
    "piece length": PIECE_BYTES,
    pieces: pieceHashes(file),
    private: 1,
  };
  const path = join(seedDirectory, TORRENT_NAME);
  await Bun.write(join(seedDirectory, FILE_NAME), file);
  await Bun.write(path, encode({ announce: url, info }));
  return { path, infoHash: sha1(encode(info)), digest: await fileDigest(seedDirectory) };
}

/** Changes the tracker that a torrent names; the info hash stays. */
export async function tellTracker(path: string, from: string, to: string): Promise<void> {
  const text = Buffer.from(await Bun.file(path).bytes()).toString("latin1");
  const changed = text.replace(`${from.length}:${from}`, `${to.length}:${to}`);
  await Bun.write(path, Buffer.from(changed, "latin1"));
}

/** SHA-256 of the file in a directory, in hex; empty while there is none. */
export async function fileDigest(directory: string): Promise<string> {
  const file = Bun.file(join(directory, FILE_NAME));
  if (!(await file.exists())) return "";
  return new Bun.CryptoHasher("sha256").update(await file.bytes()).digest("hex");
}

function pieceHashes(file: Uint8Array): Uint8Array {
  const hashes: Uint8Array[] = [];
  for (let at = 0; at < file.length; at += PIECE_BYTES) {
    hashes.push(sha1(file.subarray(at, at + PIECE_BYTES)));
  }
  return Buffer.concat(hashes);
}

function sha1(bytes: Uint8Array): Uint8Array {
  return new Bun.CryptoHasher("sha1").update(bytes).digest();
}

/** Bencodes a value; the keys of a dictionary are sorted here. */
function encode(value: Value): Uint8Array {
  if (typeof value === "number") return Buffer.from(`i${value}e`);
  if (typeof value === "string") return encode(Buffer.from(value));
  if (value instanceof Uint8Array) return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  const entries = Object.keys(value)
    .sort()
    .flatMap((key) => [encode(key), encode(value[key]!)]);
  return Buffer.concat([Buffer.from("d"), ...entries, Buffer.from("e")]);
}
