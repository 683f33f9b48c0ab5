/**
 * Runs a command under a seccomp filter that refuses some system calls:
 *
 *   bun test/e2e/seccomp.ts recvmmsg=1 -- COMMAND    recvmmsg fails with errno 1, EPERM
 *   bun test/e2e/seccomp.ts ipv6=97 -- COMMAND       socket(AF_INET6) fails: a kernel without IPv6
 *
 * The filter is set for this thread, which then becomes the command. [seccomp(2), execve(2)]
 *
 *   sock_filter, 8   code 2 · jump if true 1 · jump if false 1 · operand 4
 *   sock_fprog, 16   count 2 · pad 6 · pointer 8
 *   seccomp_data     call 4 · architecture 4 · instruction 8 · arguments 8 each
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { findLibc } from "../../src/host/mapped.ts";

/** The numbers of calls, on x64 and arm64. */
const CALLS: Record<string, readonly [number, number]> = {
  recvmmsg: [299, 243],
  sendmmsg: [307, 269],
  socket: [41, 198],
};

const PR_SET_SECCOMP = 22;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_MODE_FILTER = 2;
const RETURN_ERRNO = 0x50000;
const RETURN_ALLOW = 0x7fff0000;

const LOAD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const DATA_CALL = 0;
const DATA_ARGUMENT = 16;
const AF_INET6 = 10;

/** One instruction: code, jumps over so many instructions, operand. */
type Instruction = [code: number, ifTrue: number, ifFalse: number, operand: number];

/** The command line before a command that is to run under these rules, such as `ipv6=97`. */
export function underFilter(...rules: string[]): string[] {
  return [process.execPath, import.meta.path, ...rules, "--"];
}

function instructionsOf(rule: string): Instruction[] {
  const [name, errno] = rule.split("=");
  const number = (call: string) => CALLS[call]![process.arch === "arm64" ? 1 : 0];
  const refuse: Instruction = [RETURN, 0, 0, RETURN_ERRNO | Number(errno)];
  if (name !== "ipv6") return [[JUMP_IF_EQUAL, 0, 1, number(name!)], refuse];
  return [
    [JUMP_IF_EQUAL, 0, 4, number("socket")],
    [LOAD, 0, 0, DATA_ARGUMENT],
    [JUMP_IF_EQUAL, 0, 1, AF_INET6],
    refuse,
    [LOAD, 0, 0, DATA_CALL],
  ];
}

function programOf(rules: readonly string[]): Uint8Array {
  const instructions: Instruction[] = [
    [LOAD, 0, 0, DATA_CALL],
    ...rules.flatMap(instructionsOf),
    [RETURN, 0, 0, RETURN_ALLOW],
  ];
  const program = new DataView(new ArrayBuffer(8 * instructions.length));
  for (const [at, [code, ifTrue, ifFalse, operand]] of instructions.entries()) {
    program.setUint16(8 * at, code, true);
    program.setUint8(8 * at + 2, ifTrue);
    program.setUint8(8 * at + 3, ifFalse);
    program.setUint32(8 * at + 4, operand, true);
  }
  return new Uint8Array(program.buffer);
}

/** Becomes the command under the filter; returns only if that fails. */
function become(rules: readonly string[], command: readonly string[]): void {
  const { i32, u64, pointer } = FFIType;
  const { symbols } = dlopen(findLibc()!, {
    prctl: { args: [i32, u64, u64, u64, u64], returns: i32 },
    execve: { args: [pointer, pointer, pointer], returns: i32 },
  });
  const program = programOf(rules);
  const head = new BigUint64Array([BigInt(program.length / 8), BigInt(ptr(program))]);
  const variables = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  const texts = (lines: readonly string[]) => lines.map((line) => Buffer.from(`${line}\0`));
  const [words, environment] = [texts(command), texts(variables)];
  const pointers = (all: Buffer[]) =>
    new BigUint64Array([...all.map((text) => BigInt(ptr(text))), 0n]);
  const [argv, envp] = [pointers(words), pointers(environment)];
  symbols.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n);
  const filtered = symbols.prctl(
    PR_SET_SECCOMP,
    BigInt(SECCOMP_MODE_FILTER),
    BigInt(ptr(head)),
    0n,
    0n,
  );
  if (filtered === 0) symbols.execve(ptr(words[0]!), ptr(argv), ptr(envp));
  console.error(`seccomp: ${filtered === 0 ? "the command cannot be run" : "refused"}`);
}

if (import.meta.main) {
  const words = process.argv.slice(2);
  const dashes = words.indexOf("--");
  become(words.slice(0, dashes), words.slice(dashes + 1));
  process.exit(126);
}
