/**
 * Requests at a steady rate, whatever becomes of them: what is lost while the tracker restarts?
 *
 * Over UDP they are announces, with connection ids of before the restart. They come from several
 * sockets: the kernel spreads them over the tracker's threads, and the answers that come together
 * after a pause overflow no buffer. Over HTTP each has a connection of its own.
 */
import { announceRequest, openDatagrams, randomBytes } from "./datagrams.ts";

/** What became of the requests. */
export interface Outcome {
  sent: number;
  answered: number;
  /** Why requests had no answer, or another one. */
  failures: string[];
  /** The longest wait for an answer, in milliseconds. */
  slowest: number;
}

/** How many, and how many a second. */
export interface Steadiness {
  count: number;
  perSecond: number;
  /** When to begin, once the connection ids are there. */
  after?: Promise<void>;
  /** What is asked for over HTTP, instead of an announce. */
  target?: string;
  /** Certificates are not checked. */
  tls?: boolean;
}

const UDP_SOCKETS = 32;
const ANSWER_MILLISECONDS_MAX = 10_000;
const ACTION_ANNOUNCE = 1;
const TRANSACTION_AT = 12;
const ANNOUNCE = `/announce?info_hash=${"%ab".repeat(20)}&port=6881&left=1`;

/** Sends announces over UDP; resolves when all are answered, or when no answer comes any more. */
export async function requestOverUdp(port: number, steadiness: Steadiness): Promise<Outcome> {
  const sentAt = new Map<number, number>();
  const outcome: Outcome = { sent: 0, answered: 0, failures: [], slowest: 0 };
  const answered = (bytes: Uint8Array): void => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const start = sentAt.get(view.getUint32(4));
    if (start === undefined) return;
    sentAt.delete(view.getUint32(4));
    outcome.slowest = Math.max(outcome.slowest, performance.now() - start);
    if (view.getUint32(0) === ACTION_ANNOUNCE) outcome.answered += 1;
    else outcome.failures.push(`answered with ${bytes.toHex()}`);
  };
  const sockets = await Promise.all(
    Array.from({ length: UDP_SOCKETS }, () => openDatagrams("127.0.0.1", port)),
  );
  const ids = await Promise.all(sockets.map((socket) => socket.connect()));
  for (const socket of sockets) socket.onAnswer(answered);
  await steadiness.after;
  const infoHash = randomBytes(20);
  await steadily(steadiness, (index) => {
    const at = index % UDP_SOCKETS;
    const request = announceRequest({ connectionId: ids[at]!, infoHash, port: 6881 });
    new DataView(request.buffer).setUint32(TRANSACTION_AT, index);
    sentAt.set(index, performance.now());
    outcome.sent += 1;
    sockets[at]!.send(request);
  });
  const deadline = performance.now() + ANSWER_MILLISECONDS_MAX;
  while (sentAt.size > 0 && performance.now() < deadline) await Bun.sleep(5);
  for (const socket of sockets) socket.close();
  return outcome;
}

/** Opens connections, asks for one thing over each, and waits for all answers. */
export async function requestOverHttp(port: number, steadiness: Steadiness): Promise<Outcome> {
  const outcome: Outcome = { sent: 0, answered: 0, failures: [], slowest: 0 };
  const requests: Promise<void>[] = [];
  await steadiness.after;
  await steadily(steadiness, () => {
    outcome.sent += 1;
    const start = performance.now();
    const request = askOnce(port, steadiness)
      .then(() => {
        outcome.answered += 1;
        outcome.slowest = Math.max(outcome.slowest, performance.now() - start);
      })
      .catch((error: Error) => void outcome.failures.push(error.message));
    requests.push(request);
  });
  await Promise.all(requests);
  return outcome;
}

/** One connection with one request; rejects unless the whole answer comes. */
async function askOnce(port: number, { tls = false, target = ANNOUNCE }: Steadiness) {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let answer = "";
  const timer = setTimeout(() => reject(new Error("no answer")), ANSWER_MILLISECONDS_MAX);
  // Without a connection nothing waits for it.
  promise.catch(() => clearTimeout(timer));
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    ...(tls ? { tls: { rejectUnauthorized: false } } : {}),
    socket: {
      open: (socket) => void socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`),
      data: (_socket, bytes) => {
        answer += bytes.toString("latin1");
        if (isWhole(answer)) resolve();
      },
      close: () => reject(new Error(`closed after ${JSON.stringify(answer)}`)),
      error: (_socket, error) => reject(error),
    },
  });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    socket.end();
  }
}

/** True for a good answer that is there to its end. */
function isWhole(answer: string): boolean {
  const [head, body] = answer.split("\r\n\r\n");
  const length = /^Content-Length: (\d+)$/im.exec(head!)?.[1];
  return head!.startsWith("HTTP/1.1 200 ") && body?.length === Number(length);
}

/** Calls `send` at a steady rate; catches up after a pause of this process. */
async function steadily(
  { count, perSecond }: Steadiness,
  send: (index: number) => void,
): Promise<void> {
  const start = performance.now();
  for (let sent = 0; sent < count; await Bun.sleep(1)) {
    const due = Math.min(count, Math.ceil(((performance.now() - start) / 1000) * perSecond));
    for (; sent < due; sent++) send(sent);
  }
}
