/**
 * Signs a program for macOS without an identity ("ad hoc"): the system then knows that it is whole.
 *
 * Bun 1.4.5 signs what it compiles for arm64 in this way. In a program for Intel it leaves the
 * signature of its runtime, which does not hold any more, and a system that checks may end the
 * program at once. The new signature takes the place of the old one, which has room enough.
 *
 *   SuperBlob       0  fade0cc0   4 size   8 count 1   12 kind 0   16 offset 20
 *   CodeDirectory   0  fade0c02   4 size   8 version   12 flags   16 where hashes are   20 the name
 *                  24  special hashes   28 hashes   32 bytes that are hashed   36 a hash's size
 *                  37  its kind   39 a page, as a power of two   64 segment with code: offset u64
 *                  72  its size u64   80 its flags u64   88 name, hashes of all pages
 *
 * All numbers of a signature are big-endian, those of load commands little-endian.
 * [xnu, osfmk/kern/cs_blobs.h; mach-o/loader.h]
 */

const HEADER_BYTES = 32;
const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;

const SUPERBLOB = 0xfade0cc0;
const SUPERBLOB_BYTES = 20;
const CODE_DIRECTORY = 0xfade0c02;
const CODE_DIRECTORY_BYTES = 88;
const VERSION_WITH_SEGMENT = 0x20400;
const AD_HOC_BY_LINKER = 0x20002;
const SHA256 = 2;
const SHA256_BYTES = 32;
const PAGE_BITS = 12;
const MAIN_BINARY = 1n;

/** Where the parts of a program are that a signature is about. */
interface Layout {
  signature: number;
  signatureSize: number;
  text: bigint;
  textSize: bigint;
}

/** The program with a signature that holds; throws if it has no place for one. */
export function signedForMac(program: Uint8Array, name: string): Uint8Array {
  const { signature, signatureSize, text, textSize } = layoutOf(program);
  const pages = Math.ceil(signature / 2 ** PAGE_BITS);
  const hashes = CODE_DIRECTORY_BYTES + name.length + 1;
  const size = SUPERBLOB_BYTES + hashes + pages * SHA256_BYTES;
  if (size > signatureSize || signature + signatureSize !== program.length) {
    throw new Error(`a signature of ${size} bytes does not fit into ${signatureSize}`);
  }
  const signed = Buffer.from(program);
  signed.fill(0, signature);
  const blob = signed.subarray(signature);
  const numbers = [SUPERBLOB, size, 1, 0, SUPERBLOB_BYTES];
  for (const [at, number] of numbers.entries()) blob.writeUInt32BE(number, at * 4);

  const directory = blob.subarray(SUPERBLOB_BYTES, size);
  const fields = [CODE_DIRECTORY, directory.length, VERSION_WITH_SEGMENT, AD_HOC_BY_LINKER];
  fields.push(hashes, CODE_DIRECTORY_BYTES, 0, pages, signature);
  for (const [at, field] of fields.entries()) directory.writeUInt32BE(field, at * 4);
  directory.set([SHA256_BYTES, SHA256, 0, PAGE_BITS], 36);
  directory.writeBigUInt64BE(text, 64);
  directory.writeBigUInt64BE(textSize, 72);
  directory.writeBigUInt64BE(MAIN_BINARY, 80);
  directory.write(name, CODE_DIRECTORY_BYTES, "latin1");
  for (let page = 0; page < pages; page++) {
    const end = Math.min((page + 1) << PAGE_BITS, signature);
    const hash = Bun.SHA256.hash(signed.subarray(page << PAGE_BITS, end), "hex");
    directory.write(hash, hashes + page * SHA256_BYTES, "hex");
  }
  return signed;
}

function layoutOf(program: Uint8Array): Layout {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const layout: Layout = { signature: 0, signatureSize: 0, text: 0n, textSize: 0n };
  let at = HEADER_BYTES;
  for (let count = view.getUint32(16, true); count > 0; count--) {
    const kind = view.getUint32(at, true);
    const isText =
      kind === LC_SEGMENT_64 &&
      Buffer.from(program.subarray(at + 8, at + 15)).toString("latin1") === "__TEXT\0";
    if (isText) {
      layout.text = view.getBigUint64(at + 40, true);
      layout.textSize = view.getBigUint64(at + 48, true);
    }
    if (kind === LC_CODE_SIGNATURE) {
      layout.signature = view.getUint32(at + 8, true);
      layout.signatureSize = view.getUint32(at + 12, true);
    }
    at += view.getUint32(at + 4, true);
  }
  if (layout.signature === 0 || layout.textSize === 0n) {
    throw new Error("the program has no code, or no place for a signature");
  }
  return layout;
}
