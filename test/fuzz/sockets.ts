/**
 * Fuzzing of the running binary over its sockets: mutated datagrams and mutated HTTP requests, and
 * the same oracle on whatever comes back.
 *
 * A reply to a datagram is matched by its transaction id, which is the number of the datagram; one
 * that nobody asked for is a broken promise too.
 */
import { connect } from "node:net";
import { connectRequest, openDatagrams } from "../e2e/datagrams.ts";
import { inParallel } from "../e2e/harness.ts";
import { readResponses, type HttpResponse } from "../e2e/raw-http.ts";
import { mutatePacket, mutateTarget, mutateText } from "./mutations.ts";
import { type Asked, judgeBody, judgeDatagram, MAGIC, must, u32 } from "./oracle.ts";
import type { Random } from "./random.ts";
import { httpRequests, udpPackets } from "./seeds.ts";

/** Few enough in flight that loopback loses none for want of buffers. */
const BURST = 128;
/** The longest that is waited for the last answer of a burst: a flood beside may have lost it. */
const SETTLE_MILLISECONDS = 50;
/** Transaction id of the connect behind a burst: once it is answered, so is all before it. */
const LAST = 0xffffffff;

/** What came of it. */
export interface SocketEffort {
  inputs: number;
  answers: number;
}

/** Sends mutated datagrams for `seconds`; rejects with the first that got a wrong reply. */
export async function fuzzUdp(
  random: Random,
  port: number,
  seconds: number,
): Promise<SocketEffort> {
  const total = { inputs: 0, answers: 0 };
  const deadline = performance.now() + seconds * 1000;
  const seeds = udpPackets();
  while (performance.now() < deadline) {
    const family = random.oneIn(3) ? 6 : 4;
    const source = family === 6 ? "::1" : `127.0.0.${2 + random.below(200)}`;
    const target = family === 6 ? "::1" : "127.0.0.1";
    const client = await openClient(port, target, source);
    for (let bursts = 0; bursts < 20 && performance.now() < deadline; bursts++) {
      const answers = await client.burst(random, family, seeds, total.inputs);
      total.inputs += BURST;
      total.answers += answers;
    }
    client.close();
  }
  return total;
}

interface Client {
  burst(random: Random, family: 4 | 6, seeds: Uint8Array[], first: number): Promise<number>;
  close(): void;
}

async function openClient(port: number, target: string, source: string): Promise<Client> {
  using asking = await openDatagrams(target, port, source);
  const id = await asking.connect();
  const asked = new Map<number, Asked>();
  let answers = 0;
  let broken: unknown;
  let settled = (): void => {};
  const socket = await Bun.udpSocket({
    hostname: source,
    binaryType: "uint8array",
    socket: {
      data(_socket, bytes) {
        if (u32(bytes, 4) === LAST) return settled();
        answers += 1;
        try {
          const question = asked.get(u32(bytes, 4));
          must(question !== undefined, `nobody asked for ${bytes.toHex()}`);
          judgeNoting(question!, bytes);
        } catch (error) {
          broken ??= error;
        }
      },
      error() {},
    },
  });
  return {
    async burst(random, family, seeds, first) {
      answers = 0;
      // Late answers are answers too: questions are remembered for some bursts.
      for (const old of asked.keys())
        if (first - old > BURST * BURSTS_REMEMBERED) asked.delete(old);
      const packets: (Uint8Array | number | string)[] = [];
      for (let i = 0; i < BURST; i++) {
        const question = makeQuestion(random, family, random.pick(seeds), first + i, id);
        asked.set((first + i) >>> 0, question);
        packets.push(question.bytes, port, target);
      }
      packets.push(connectRequest(new Uint8Array(4).fill(0xff)), port, target);
      const last = new Promise<void>((resolve) => (settled = resolve));
      socket.sendMany(packets);
      await Promise.race([last, Bun.sleep(SETTLE_MILLISECONDS)]);
      if (broken !== undefined) throw broken;
      return answers;
    },
    close: () => socket.close(),
  };
}

function judgeNoting(question: Asked, reply: Uint8Array): void {
  try {
    judgeDatagram(question, reply);
  } catch (error) {
    const what = `${question.bytes.toHex()} got ${reply.toHex()}`;
    throw new Error(`${(error as Error).message}: ${what}`);
  }
}

function makeQuestion(
  random: Random,
  family: 4 | 6,
  seed: Uint8Array,
  transaction: number,
  id: Uint8Array,
): Asked {
  const buffer = new Uint8Array(2048);
  buffer.set(seed);
  const length = mutatePacket(random, buffer, seed.length);
  const proven = random.oneIn(2);
  if (proven) buffer.set(id);
  else if (random.oneIn(2)) buffer.set(MAGIC);
  new DataView(buffer.buffer).setUint32(12, transaction);
  const bytes = buffer.slice(0, length);
  return { bytes, proven, family, replyBytesMax: 1232, scrapeMax: 74 };
}

/** Statuses a request over HTTP may get, whatever it is. */
const STATUSES = [101, 200, 400, 404, 405, 408, 411, 413, 414, 417, 426, 429, 431, 501, 505];

const CONNECTIONS = 32;
/** Requests made at once, so that few lanes are ever idle. */
const ROUND = 512;
/** One in so many clients waits; the others end their side, so that no answer need be outlasted. */
const WAITING_ONE_IN = 16;
const RESPONSE_MILLISECONDS_MAX = 150;

/** A flood beside the fuzzing keeps answers waiting; none can be later than this many bursts. */
const BURSTS_REMEMBERED = 1000;

/** Sends mutated HTTP requests for `seconds`, each over a connection of its own. */
export async function fuzzHttp(
  random: Random,
  port: number,
  seconds: number,
): Promise<SocketEffort> {
  const total = { inputs: 0, answers: 0 };
  const deadline = performance.now() + seconds * 1000;
  const seeds = httpRequests().filter((request) => request.length < 8192);
  while (performance.now() < deadline) {
    const requests = Array.from({ length: ROUND }, () => mutateRequest(random, random.pick(seeds)));
    await inParallel(requests, CONNECTIONS, async (request) => {
      total.inputs += 1;
      for (const response of await exchange(port, request, total.inputs % WAITING_ONE_IN === 0)) {
        total.answers += 1;
        judgeResponse(request, response);
      }
    });
  }
  return total;
}

/** Target, header lines, or bytes anywhere; as latin1, so that every byte can occur. */
function mutateRequest(random: Random, seed: Uint8Array): Buffer {
  let text = Buffer.from(seed).toString("latin1");
  const [line, ...rest] = text.split("\r\n");
  const parts = line!.split(" ");
  const kind = random.below(4);
  if (kind < 2 && parts[1]?.startsWith("/")) {
    parts[1] = mutateTarget(random, parts[1]);
    text = [parts.join(" "), ...rest].join("\r\n");
  } else if (kind === 2) {
    const at = random.below(rest.length);
    rest[at] = mutateText(random, rest[at] ?? "", ":, \t\r\n\0\x7fA\u00ff");
    text = [line, ...rest].join("\r\n");
  } else {
    text = mutateText(random, text, "\r\n: \0/?");
  }
  return Buffer.from(text, "latin1");
}

/** All whole responses until the other side ends, or none has come for a while. */
function exchange(port: number, request: Buffer, waits: boolean): Promise<HttpResponse[]> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    const end = (): void => {
      socket.destroy();
      const head = /^HEAD /.test(request.toString("latin1"));
      resolve(readResponses(Buffer.concat(received), true, head));
    };
    socket.on("timeout", end);
    socket.setTimeout(RESPONSE_MILLISECONDS_MAX);
    socket.on("data", (chunk: Buffer) => {
      received.push(chunk);
      // Nearly every answer is one segment; waiting for more of them would be most of the time.
      if (waits) socket.setTimeout(2);
    });
    socket.on("error", end);
    socket.on("end", end);
    socket.on("close", end);
    if (waits) socket.write(request);
    else socket.end(request);
  });
}

function judgeResponse(request: Buffer, { status, body }: HttpResponse): void {
  try {
    must(STATUSES.includes(status), `status ${status}`);
    if (status === 200 && body[0] === 0x64) judgeBody(body);
  } catch (error) {
    const text = JSON.stringify(request.toString("latin1"));
    throw new Error(`${(error as Error).message}\nrequest: ${text}`);
  }
}
