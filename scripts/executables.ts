/**
 * Identifies a program file from its bytes: the system, the machine and the C library.
 *
 * A release is named for a target. `make dist` checks each binary against its name, so that users
 * do not get a wrong one. Reads only, never throws: unknown files and files that are cut short are
 * undefined.
 *
 *   ELF     0  7f 45 4c 46   18 machine u16   32 program headers u64   54 their size   56 how many
 *           a program header: 0 type u32 (3 interpreter, 4 notes)   8 offset u64   32 size u64
 *           a note: 0 name size u32   4 content size u32   8 type u32   12 name, content
 *   Mach-O  0  cf fa ed fe    4 machine u32   12 kind u32 (2 is a program)
 *   PE      0  4d 5a         60 where "PE\0\0" is; behind it the machine u16
 *
 * All numbers are little-endian. A note identifies FreeBSD; the C library of Linux is known from
 * the interpreter.
 */

const ELF_MAGIC = 0x464c457f;
const ELF_CLASS_64 = 2;
const ELF_MACHINES: Record<number, string> = { 62: "x64", 183: "arm64" };
const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PT_INTERP = 3;
const PT_NOTE = 4;
const NOTE_HEADER_BYTES = 12;
const NT_FREEBSD_ABI_TAG = 1;

const MACHO_MAGIC_64 = 0xfeedfacf;
const MACHO_MACHINES: Record<number, string> = { 0x01000007: "x64", 0x0100000c: "arm64" };
const MACHO_EXECUTE = 2;

const DOS_MAGIC = 0x5a4d;
const PE_MAGIC = 0x00004550;
const PE_MACHINES: Record<number, string> = { 0x8664: "x64", 0xaa64: "arm64" };

/** The target of a program, such as `linux-x64-musl`; undefined if unknown. */
export function targetOf(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (view.getUint32(0, true) === ELF_MAGIC) return elfTarget(bytes, view);
    if (view.getUint32(0, true) === MACHO_MAGIC_64) return machoTarget(view);
    if (view.getUint16(0, true) === DOS_MAGIC) return peTarget(view);
    return undefined;
  } catch (error) {
    // The file is cut short: a read went beyond its end.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function elfTarget(bytes: Uint8Array, view: DataView): string | undefined {
  if (view.getUint8(4) !== ELF_CLASS_64) return undefined;
  const machine = ELF_MACHINES[view.getUint16(18, true)];
  const headers = elfProgramHeaders(view);
  const notes = headers.filter(({ type }) => type === PT_NOTE);
  if (machine === undefined) return undefined;
  if (notes.some((part) => hasFreebsdNote(bytes, view, part))) return `freebsd-${machine}`;
  const interpreter = headers.find(({ type }) => type === PT_INTERP);
  if (interpreter === undefined) return undefined;
  const name = textAt(bytes, interpreter.offset, interpreter.size);
  if (name.includes("/ld-musl-")) return `linux-${machine}-musl`;
  return name.includes("/ld-linux-") ? `linux-${machine}` : undefined;
}

interface Part {
  type: number;
  offset: number;
  size: number;
}

function elfProgramHeaders(view: DataView): Part[] {
  const start = Number(view.getBigUint64(32, true));
  const size = view.getUint16(54, true);
  if (start < ELF_HEADER_BYTES || size < PROGRAM_HEADER_BYTES) return [];
  return Array.from({ length: view.getUint16(56, true) }, (_, at) => {
    const header = start + at * size;
    return {
      type: view.getUint32(header, true),
      offset: Number(view.getBigUint64(header + 8, true)),
      size: Number(view.getBigUint64(header + 32, true)),
    };
  });
}

function hasFreebsdNote(bytes: Uint8Array, view: DataView, { offset, size }: Part): boolean {
  const padded = (length: number) => Math.ceil(length / 4) * 4;
  for (let at = offset; at + NOTE_HEADER_BYTES <= offset + size;) {
    const nameSize = view.getUint32(at, true);
    const contentSize = view.getUint32(at + 4, true);
    const type = view.getUint32(at + 8, true);
    const name = textAt(bytes, at + NOTE_HEADER_BYTES, nameSize);
    if (type === NT_FREEBSD_ABI_TAG && name === "FreeBSD\0") return true;
    at += NOTE_HEADER_BYTES + padded(nameSize) + padded(contentSize);
  }
  return false;
}

function machoTarget(view: DataView): string | undefined {
  const machine = MACHO_MACHINES[view.getUint32(4, true)];
  if (machine === undefined || view.getUint32(12, true) !== MACHO_EXECUTE) return undefined;
  return `darwin-${machine}`;
}

function peTarget(view: DataView): string | undefined {
  const header = view.getUint32(60, true);
  if (view.getUint32(header, true) !== PE_MAGIC) return undefined;
  const machine = PE_MACHINES[view.getUint16(header + 4, true)];
  return machine === undefined ? undefined : `windows-${machine}`;
}

function textAt(bytes: Uint8Array, offset: number, size: number): string {
  return Buffer.from(bytes.subarray(offset, offset + size)).toString("latin1");
}
