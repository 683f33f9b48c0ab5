/**
 * The compiled binary as a child process: started on free ports, awaited, and always ended.
 *
 * `startTracker` gives a `Tracker`, which is an async disposable: write
 *
 *   await using tracker = await startTracker();
 *
 * and the process is ended by its pid at the end of the block, even if a check in it fails.
 * A tracker that is still running then must leave with exit code 0 on SIGTERM, or the block throws.
 * The child sees only the variables given here, never those of the shell that runs the tests.
 *
 * `BUNTRACKER_BINARY` names another binary to test; the default is what `make build` leaves.
 */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { openDatagrams } from "./datagrams.ts";

/** Variables of the child process, by name. */
export type Environment = Record<string, string>;

/** Where the binary under test is: an absolute path. */
export const BINARY = resolve(
  process.env.BUNTRACKER_BINARY ?? `${import.meta.dir}/../../dist/bin/buntracker`,
);

/** The longest a tracker may take to end after a signal, in milliseconds: its own promise. */
const STOP_MILLISECONDS_MAX = 10_000;

/** Generous, because several test processes may share a small machine, and an emulator is slow. */
const READY_MILLISECONDS_MAX = 30_000;

/**
 * Below 32768, where Linux picks ports for outgoing connections: no other process takes them in
 * between.
 */
const PORT_FIRST = 20_000;
const PORT_COUNT = 12_000;

/**
 * Settings under which the whole corpus is replayed, by a name that fits "with …": they choose
 * other paths through the program, and must not change an answer.
 */
export const SETTINGS: Record<string, Environment> = {
  "default settings": {},
  "UDP in the event loop": { TRACKER_UDP_WORKERS: "0" },
  "two UDP workers": { TRACKER_UDP_WORKERS: "2" },
  "two HTTP workers": { TRACKER_HTTP_WORKERS: "2" },
};

/** Options of a start. */
export interface StartOptions {
  /** Added to, and stronger than, the addresses chosen here. */
  env?: Environment;
  /** Working directory of the child; the default is that of the tests. */
  cwd?: string;
  /** The port; the default is a free one. */
  port?: number;
  /** Another binary than the one under test. */
  binary?: string;
  /** A command that runs it, such as one that sets a filter. */
  through?: string[];
  /** How many files it may have open; without it as many as the tests themselves. */
  files?: number;
  /** Listen address without port, in brackets for IPv6; the default is `[::]`, both families. */
  address?: string;
}

/** A tracker that has been started; ready unless `startProcess` was asked for it alone. */
export class Tracker implements AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** From the start of the process to its first good answer. */
  readyMilliseconds = 0;
  readonly #process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #stderr: Promise<void>;
  readonly #stdout: Promise<void>;
  #stderrText = "";
  #stdoutText = "";

  constructor(process: Bun.Subprocess<"ignore", "pipe", "pipe">, port: number) {
    this.#process = process;
    this.port = port;
    this.pid = process.pid;
    this.#stderr = eachChunk(process.stderr, (text) => {
      this.#stderrText += text;
    });
    this.#stdout = eachChunk(process.stdout, (text) => {
      this.#stdoutText += text;
    });
  }

  /** What it has written to stderr so far. */
  get stderr(): string {
    return this.#stderrText;
  }

  /** What it has written to stdout so far. */
  get stdout(): string {
    return this.#stdoutText;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /**
   * Waits for the end; resolves to the exit code, once all output has been read.
   * Throws, and kills the process, when it is still there after `milliseconds`.
   */
  async exited(milliseconds = STOP_MILLISECONDS_MAX): Promise<number> {
    const outcome = await Promise.race([this.#process.exited, Bun.sleep(milliseconds)]);
    if (outcome === undefined) {
      this.#process.kill("SIGKILL");
      await this.#process.exited;
      throw new Error(`still running after ${milliseconds} ms, killed\n${this.#stderrText}`);
    }
    await Promise.all([this.#stderr, this.#stdout]);
    return outcome;
  }

  /** Waits until it has written `text` to stderr; throws after a while. */
  async says(text: string, milliseconds = 5000): Promise<void> {
    const deadline = performance.now() + milliseconds;
    while (!this.#stderrText.includes(text)) {
      if (performance.now() > deadline) throw new Error(`never said ${text}\n${this.#stderrText}`);
      await Bun.sleep(5);
    }
  }

  /** Waits until a handler of its own gets the signal with this number (Linux; else a while). */
  async catches(signal: number): Promise<void> {
    const caught = (): boolean => {
      const status = readFileSync(`/proc/${this.pid}/status`, "latin1");
      const mask = BigInt(`0x${/^SigCgt:\s*([0-9a-f]+)/m.exec(status)![1]}`);
      return ((mask >> BigInt(signal - 1)) & 1n) === 1n;
    };
    if (process.platform !== "linux") await Bun.sleep(1000);
    else for (let tries = 0; tries < 1000 && !caught(); tries++) await Bun.sleep(5);
  }

  /** Ends it with SIGTERM, and throws unless it leaves in time and with exit code 0. */
  async stop(): Promise<void> {
    if (this.running) this.signal("SIGTERM");
    const code = await this.exited();
    if (code !== 0) throw new Error(`exit code ${code} after SIGTERM\n${this.#stderrText}`);
  }

  /** Ends the process, unless it has ended by itself, which its test has checked. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.stop();
  }
}

/** Starts the binary on one free port for both transports and waits until it answers. */
export async function startTracker(options: StartOptions = {}): Promise<Tracker> {
  const address = options.address ?? "[::]";
  const port = options.port ?? freePort();
  const started = performance.now();
  const tracker = startProcess({
    ...options,
    port,
    env: {
      TRACKER_UDP_ADDRESS: `${address}:${port}`,
      TRACKER_HTTP_ADDRESS: `${address}:${port}`,
      TRACKER_ADMIN_ADDRESS: "",
      ...options.env,
    },
  });
  try {
    await untilReady(tracker, options.env?.TRACKER_HTTP_ADDRESS === "" ? isConnecting : isHealthy);
  } catch (error) {
    tracker.signal("SIGKILL");
    await tracker.exited();
    throw error;
  }
  tracker.readyMilliseconds = performance.now() - started;
  return tracker;
}

/** Starts the binary with exactly these variables and arguments, and waits for nothing. */
export function startProcess(options: StartOptions & { args?: string[] }): Tracker {
  const binary = options.binary ?? BINARY;
  const command = [...(options.through ?? []), binary, ...(options.args ?? [])];
  const limited = ["sh", "-c", `ulimit -n ${options.files}; exec "$0" "$@"`, ...command];
  const child = Bun.spawn(options.files === undefined ? command : limited, {
    env: { PATH: "/usr/bin:/bin", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  return new Tracker(child, options.port ?? 0);
}

/** Ports that were given before: their trackers may not have bound them yet. */
const given = new Set<number>();

/** A port that was free on both transports and both families a moment ago; a new one each time. */
export function freePort(): number {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = PORT_FIRST + Math.floor(Math.random() * PORT_COUNT);
    if (given.has(port) || !isFree(port)) continue;
    given.add(port);
    return port;
  }
  throw new Error("no free port found in 100 attempts");
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: "::", port, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

/** Polls `GET /health` where HTTP is on, a UDP connect where it is not. */
async function untilReady(
  tracker: Tracker,
  answers: (port: number) => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + READY_MILLISECONDS_MAX;
  while (performance.now() < deadline) {
    if (!tracker.running) {
      throw new Error(`ended with ${await tracker.exited()} at start\n${tracker.stderr}`);
    }
    if (await answers(tracker.port)) return;
    await Bun.sleep(5);
  }
  throw new Error(`not ready after ${READY_MILLISECONDS_MAX} ms\n${tracker.stderr}`);
}

async function isHealthy(port: number): Promise<boolean> {
  for (const host of ["127.0.0.1", "[::1]"]) {
    const url = `http://${host}:${port}/health`;
    const options = { signal: AbortSignal.timeout(1000), keepalive: false };
    const answer = await fetch(url, options).catch(() => undefined);
    if (answer?.status === 200) return true;
  }
  return false;
}

async function isConnecting(port: number): Promise<boolean> {
  for (const host of ["127.0.0.1", "::1"]) {
    using client = await openDatagrams(host, port);
    const answered = await client.connect(50).catch(() => undefined);
    if (answered !== undefined) return true;
  }
  return false;
}

async function eachChunk(
  stream: ReadableStream<Uint8Array>,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
}

/** Runs `task` over all items, at most `width` at a time; results in the order of the items. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  width: number,
  task: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array<Result>(items.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await task(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}
