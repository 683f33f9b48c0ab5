/**
 * Requests at a steady rate, whatever becomes of them: what is lost while the tracker restarts?
 *
 * Over UDP each request is one connect, from one of several sockets: the kernel spreads them over
 * the tracker's threads, and the answers that come together after a pause overflow no buffer. Over
 * HTTP each request is one connection.
 */

/** What became of the requests. */
export interface Outcome {
  sent: number;
  answered: number;
  /** Why connections had no answer. */
  failures: string[];
  /** The longest wait for an answer, in milliseconds. */
  slowest: number;
}

/** How many, and how many a second. */
export interface Steadiness {
  count: number;
  perSecond: number;
  /** Certificates are not checked. */
  tls?: boolean;
}

const UDP_SOCKETS = 32;
const ANSWER_MILLISECONDS_MAX = 10_000;
const CONNECT_MAGIC = 0x41727101980n;

/** Sends connects over UDP; resolves when all are answered, or when no answer comes any more. */
export async function requestOverUdp(port: number, steadiness: Steadiness): Promise<Outcome> {
  const sentAt = new Map<number, number>();
  const outcome = { sent: 0, answered: 0, failures: [], slowest: 0 };
  const data = (_socket: unknown, bytes: Uint8Array): void => {
    if (bytes.length !== 16) return;
    const transaction = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4);
    const start = sentAt.get(transaction);
    if (start === undefined) return;
    sentAt.delete(transaction);
    outcome.answered += 1;
    outcome.slowest = Math.max(outcome.slowest, performance.now() - start);
  };
  const sockets = await Promise.all(
    Array.from({ length: UDP_SOCKETS }, () =>
      Bun.udpSocket({
        hostname: "127.0.0.1",
        binaryType: "uint8array",
        socket: { data, error: () => {} },
      }),
    ),
  );
  await steadily(steadiness, (index) => {
    const request = new DataView(new ArrayBuffer(16));
    request.setBigUint64(0, CONNECT_MAGIC);
    request.setUint32(12, index);
    sentAt.set(index, performance.now());
    outcome.sent += 1;
    sockets[index % UDP_SOCKETS]!.send(request, port, "127.0.0.1");
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
  await steadily(steadiness, () => {
    outcome.sent += 1;
    const start = performance.now();
    const request = askOnce(port, steadiness.tls ?? false)
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
async function askOnce(port: number, tls: boolean): Promise<void> {
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
      open: (socket) => void socket.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"),
      data: (_socket, bytes) => {
        answer += bytes.toString("latin1");
        if (/\r\n\r\nok\n?$/.test(answer)) resolve();
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
