/**
 * Clients that send single bytes into requests they never finish, from another process, so that the
 * test's own event loop stays free.
 *
 *   bun test/soak/drips.ts PORT SECONDS KIND CONNECTIONS DRIPS_A_SECOND
 *
 * Each connection sends a beginning, most of it long, and then a byte at a time; one that is closed
 * is opened again. Kinds, by where the bytes end up: `head` (a field without an end), `fields`
 * (short fields, each of them whole), `waiting` (behind requests whose answers are not read),
 * `chunks` (a chunk of a body), `size` (the line of a chunk's size) and `trailers` (behind a body).
 * It prints how many bytes it dripped and how often it connected.
 */
import type { Socket } from "bun";

export const DRIP_KINDS = ["head", "fields", "waiting", "chunks", "size", "trailers"] as const;
export type DripKind = (typeof DRIP_KINDS)[number];

export interface DripOptions {
  connections: number;
  dripsPerSecond: number;
}

/** Shorter than a head may be, so that there is room for drips. */
const HEAD_BYTES = 15_000;
const TURN_MILLISECONDS = 2;

const HEAD = `GET /announce?info_hash=${"%5a".repeat(20)} HTTP/1.1\r\nHost: x\r\nX-Filling: `;
const BODY = "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

/** What a connection sends at once, and the bytes it then drips, over and over. */
const SHAPES: Record<DripKind, { beginning: string; drips: string }> = {
  head: { beginning: HEAD.padEnd(HEAD_BYTES, "a"), drips: "a" },
  fields: { beginning: `${HEAD.padEnd(HEAD_BYTES, "a")}\r\n`, drips: "a:\r\n" },
  waiting: {
    beginning: "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000).padEnd(60_000, "a"),
    drips: "a",
  },
  chunks: { beginning: `${BODY}ea60\r\n`, drips: "a" },
  size: { beginning: `${BODY}1;`, drips: "a" },
  trailers: { beginning: `${BODY}0\r\n`, drips: "a: b\r\n" },
};

/** Drips for so long; resolves to the number of bytes dripped. */
export async function drip(
  port: number,
  seconds: number,
  kind: DripKind,
  { connections, dripsPerSecond }: DripOptions,
): Promise<number> {
  const numbers = [connections, dripsPerSecond].map(String);
  const child = Bun.spawn(
    [process.execPath, import.meta.path, `${port}`, `${seconds}`, kind, ...numbers],
    { env: { ...process.env, BUN_BE_BUN: "1" }, stdout: "pipe", stderr: "inherit" },
  );
  return Number((await new Response(child.stdout).text()).split(" ")[0]);
}

/** One connection, and those after it in its place. */
class Dripper {
  connects = 0;
  #socket: Socket | undefined;
  #at = 0;
  readonly #port: number;
  readonly #beginning: Uint8Array;
  readonly #drips: Uint8Array[];

  constructor(port: number, kind: DripKind) {
    this.#port = port;
    this.#beginning = Buffer.from(SHAPES[kind].beginning);
    this.#drips = [...Buffer.from(SHAPES[kind].drips)].map((byte) => Uint8Array.of(byte));
  }

  async connect(): Promise<void> {
    this.connects += 1;
    this.#at = 0;
    let rest = this.#beginning;
    const send = (socket: Socket): void => {
      if (rest.length > 0) rest = rest.subarray(Math.max(0, socket.write(rest)));
      if (rest.length === 0) this.#socket = socket;
    };
    const closed = (): void => {
      this.#socket = undefined;
      setTimeout(() => void this.connect(), 50).unref();
    };
    await Bun.connect({
      hostname: "127.0.0.1",
      port: this.#port,
      socket: {
        open: (socket) => {
          // Answers are not read: those who wait behind them shall go on waiting.
          socket.pause();
          send(socket);
        },
        data() {},
        drain: send,
        close: closed,
        error() {},
      },
    }).catch(closed);
  }

  /** One byte more; false if there is no connection for it. */
  drip(): boolean {
    const byte = this.#drips[this.#at % this.#drips.length];
    if (this.#socket === undefined || byte === undefined) return false;
    const sent = this.#socket.write(byte);
    if (sent < 0) this.#socket.terminate();
    if (sent > 0) this.#at += 1;
    return sent > 0;
  }
}

async function run(
  port: number,
  seconds: number,
  kind: DripKind,
  { connections, dripsPerSecond }: DripOptions,
): Promise<string> {
  const drippers = Array.from({ length: connections }, () => new Dripper(port, kind));
  for (const dripper of drippers) await dripper.connect();
  const start = performance.now();
  let sent = 0;
  let turns = 0;
  for (let elapsed = 0; elapsed < seconds; elapsed = (performance.now() - start) / 1000) {
    const due = Math.min(elapsed * dripsPerSecond - turns, connections);
    for (let i = 0; i < due; i++) if (drippers[turns++ % connections]!.drip()) sent += 1;
    // What was not due is not made up for: a machine that is slow gets fewer drips.
    turns = Math.max(turns, Math.floor(elapsed * dripsPerSecond) - connections);
    await Bun.sleep(TURN_MILLISECONDS);
  }
  const connects = drippers.reduce((sum, dripper) => sum + dripper.connects, 0);
  return `${sent} ${connects}`;
}

if (import.meta.main) {
  const [port, seconds, kind, connections, dripsPerSecond] = process.argv.slice(2);
  const options = { connections: Number(connections), dripsPerSecond: Number(dripsPerSecond) };
  console.log(await run(Number(port), Number(seconds), kind as DripKind, options));
  process.exit(0);
}
