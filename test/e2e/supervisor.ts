/**
 * A supervisor that holds the tracker's sockets while it restarts. systemd cannot run here, because
 * it would have to be process 1; supervisor.py stands in for it and speaks its protocol.
 *
 *   await using supervisor = await Supervisor.begin();
 *   await supervisor.start({ TRACKER_UDP_WORKERS: "2" });
 *   await supervisor.restart();
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BINARY, type Environment, freePort } from "./harness.ts";

const READY_MILLISECONDS_MAX = 20_000;
const PYTHON = Bun.which("python3");

/** A socket that the supervisor binds before the first start. */
export interface BoundSocket {
  protocol: "udp" | "tcp";
  host: string;
  port: number;
  /** True if calls on it wait; a `.socket` unit makes it so that they do not. */
  blocking?: boolean;
  /** True for SO_REUSEPORT. */
  shared?: boolean;
  /** True to leave out IPv4. */
  only?: boolean;
  /** True for Timestamping= of the unit, which adds data to each datagram. */
  timestamps?: boolean;
  /** True for a UDP socket that is connected to itself, and shut down for reading. */
  deaf?: boolean;
  /** The user who makes it; only root may name another one. */
  user?: number;
  name?: string;
  /** True if an earlier run has stored it, false if it is of a `.socket` unit. */
  stored?: boolean;
}

/** How long a restart took. */
export interface RestartTimes {
  exitSeconds: number;
  readySeconds: number;
}

/** A message of the tracker. */
export interface Message {
  text: string;
  descriptors: number;
}

/** A socket that the supervisor holds. */
export interface HeldSocket {
  name: string;
  at: string;
}

export class Supervisor implements AsyncDisposable {
  /** Whether this machine can run one. */
  static readonly possible = process.platform === "linux" && PYTHON !== null;

  /** The port of the tracker, for both transports. */
  readonly port: number = freePort();
  /** The process of the tracker; 0 while there is none. */
  pid = 0;
  readonly #folder = mkdtempSync(join(tmpdir(), "buntracker-supervisor-"));
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #lines: AsyncIterator<string>;
  #log = "";
  #env: Environment = {};

  private constructor() {
    const program = join(import.meta.dir, "supervisor.py");
    this.#child = Bun.spawn([PYTHON!, program, this.#folder, BINARY], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#lines = linesOf(this.#child.stdout);
    void this.#readLog();
  }

  static async begin(): Promise<Supervisor> {
    const supervisor = new Supervisor();
    await supervisor.#lines.next();
    return supervisor;
  }

  /** What the trackers have logged. */
  get log(): string {
    return this.#log;
  }

  /** Binds a socket, which the next start gets. */
  async bind(socket: BoundSocket): Promise<void> {
    await this.#ask({ do: "bind", ...socket });
  }

  /** Starts the tracker at `127.0.0.1` and waits until it reports that it is ready. */
  async start(env: Environment = {}): Promise<void> {
    const at = `127.0.0.1:${this.port}`;
    this.#env = {
      TRACKER_UDP_ADDRESS: at,
      TRACKER_HTTP_ADDRESS: at,
      TRACKER_ADMIN_ADDRESS: "",
      // Ids of the last run stay valid.
      TRACKER_UDP_SECRET: "a secret of the tests, which is long enough",
      ...env,
    };
    const before = await this.#countReady();
    ({ pid: this.pid } = await this.#ask<{ pid: number }>({ do: "start", env: this.#env }));
    const deadline = performance.now() + READY_MILLISECONDS_MAX;
    while ((await this.#countReady()) === before) {
      const { code } = await this.#ask<{ code: number | null }>({ do: "code" });
      if (code !== null) this.pid = 0;
      if (code !== null || performance.now() > deadline) {
        throw new Error(`not ready, exit code ${code}\n${this.#log}`);
      }
      await Bun.sleep(5);
    }
  }

  /** Ends the tracker; resolves to its exit code, or less than 0 for a signal. */
  async end(signal = 15): Promise<number> {
    const { code } = await this.#ask<{ code: number }>({ do: "end", signal });
    this.pid = 0;
    return code;
  }

  /** Ends the tracker and starts it again, with these settings changed; returns both times. */
  async restart(env: Environment = {}): Promise<RestartTimes> {
    const begin = performance.now();
    const code = await this.end();
    if (code !== 0) throw new Error(`exit code ${code}\n${this.#log}`);
    const ended = performance.now();
    await this.start({ ...this.#env, ...env });
    const seconds = (from: number, to: number): number => (to - from) / 1000;
    return { exitSeconds: seconds(begin, ended), readySeconds: seconds(ended, performance.now()) };
  }

  /** Closes the sockets that it holds, and holds none from now on. */
  async dropSockets(): Promise<void> {
    await this.#ask({ do: "drop" });
  }

  /** All sockets that it holds now. */
  async held(): Promise<HeldSocket[]> {
    return (await this.#ask<{ held: HeldSocket[] }>({ do: "held" })).held;
  }

  /** All messages of the trackers so far. */
  async messages(): Promise<Message[]> {
    return (await this.#ask<{ messages: Message[] }>({ do: "messages" })).messages;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.pid !== 0) await this.end(9);
    this.#child.kill();
    await this.#child.exited;
    rmSync(this.#folder, { recursive: true });
  }

  async #countReady(): Promise<number> {
    return (await this.messages()).filter(({ text }) => text.startsWith("READY=1")).length;
  }

  async #ask<Answer>(order: object): Promise<Answer> {
    void this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    const { value } = await this.#lines.next();
    if (value === undefined) throw new Error(`the supervisor has failed\n${this.#log}`);
    return JSON.parse(value as string) as Answer;
  }

  async #readLog(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) {
      this.#log += decoder.decode(chunk, { stream: true });
    }
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
