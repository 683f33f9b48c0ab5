/** The second generator of load over UDP asks what workload.ts says. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { udp } from "bun";
import { compileC, endAll } from "./contenders.ts";
import { generate } from "./generators.ts";
import type { Report } from "./options.ts";
import { INFO_HASH_WORDS, putInfoHash, Workload } from "./workload.ts";

const isPossible = process.platform === "linux" && Bun.which("cc") !== null;
const SWARMS = 10;
const PEERS = 100;
/** A reply to an announce has this many peers here. */
const PEERS_TOLD = 2;

interface Asked {
  peer: number;
  from: string;
  hash: string;
  port: number;
  seeder: boolean;
}

let program = "";
let asked: Asked[] = [];
let server: udp.Socket<"buffer">;

/** Answers connects and announces, and writes down what is announced. */
function answer(socket: udp.Socket<"buffer">, bytes: Buffer, port: number, from: string): void {
  const reply = Buffer.alloc(bytes.length === 16 ? 16 : 20 + 6 * PEERS_TOLD);
  bytes.copy(reply, 0, 8, 16);
  try {
    socket.send(reply, port, from);
  } catch {
    // A generator that has ended refuses what comes late.
  }
  if (bytes.length !== 98) return;
  asked.push({
    peer: bytes.readUInt32BE(44),
    from,
    hash: bytes.toString("hex", 16, 36),
    port: bytes.readUInt16BE(96),
    seeder: bytes.readBigUInt64BE(64) === 0n,
  });
}

function run(flags: Record<string, string | number>): Promise<Report> {
  asked = [];
  const sizes = { swarms: SWARMS, peers: PEERS, sockets: 4, window: 64 };
  return generate(program, { port: server.port, ...sizes, ...flags }, { anywhere: true });
}

if (isPossible) {
  beforeAll(async () => {
    program = (await compileC("udp-burst.c")) as string;
    const hostname = "127.0.0.1";
    server = await Bun.udpSocket({ hostname, port: 0, socket: { data: answer, error: () => {} } });
  });
  afterAll(async () => {
    server.close();
    await endAll();
  });
}

test.if(isPossible)("a fill announces each peer once, as workload.ts has it", async () => {
  const report = await run({ mode: "fill", seconds: 5 });
  expect(report).toMatchObject({ announces: PEERS, connects: 0, lost: 0, errors: 0 });
  expect(report.peers_per_announce).toBe(PEERS_TOLD);
  const workload = new Workload(SWARMS, PEERS, 1);
  const words = new Uint32Array(INFO_HASH_WORDS);
  for (const { peer, hash, port, seeder } of asked) {
    putInfoHash(words, 0, workload.swarmOf(peer));
    expect(hash).toBe(Buffer.from(words.buffer).toString("hex"));
    expect([port, seeder]).toEqual([workload.portOf(peer), workload.isSeeder(peer)]);
  }
  expect(asked.map(({ peer }) => peer).sort((a, b) => a - b)).toEqual([...Array(PEERS).keys()]);
});

test.if(isPossible)("peers change their addresses, unless they are told to stay", async () => {
  const addressesOf = (n: number) =>
    new Set(asked.filter(({ peer }) => peer === n).map(({ from }) => from)).size;
  await run({ seconds: 1, still: 1 });
  expect(addressesOf(7)).toBe(1);
  expect(await run({ seconds: 1 })).toMatchObject({ errors: 0 });
  expect(addressesOf(7)).toBeGreaterThan(1);
});

test.if(isPossible)("a mistake is one sentence", async () => {
  const sentence = "udp-burst: --host must be an IPv4 address";
  await expect(run({ host: "localhost" })).rejects.toThrow(sentence);
});
