/** A real server of NATS for tests: Debian's `nats-server`, on a free port, always ended. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:net";
import { freePort } from "../e2e/harness.ts";

/** Its path; null where it is not installed. */
export const NATS_SERVER =
  Bun.which("nats-server") ?? Bun.which("nats-server", { PATH: "/usr/sbin:/usr/local/sbin" });

export class NatsServer implements AsyncDisposable {
  readonly port: number;
  #config: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "buntracker-nats-"));
  #child: Bun.Subprocess | undefined;

  private constructor(port: number, config: string) {
    this.port = port;
    this.#config = config;
  }

  /** Starts one, with what `config` adds to its address. */
  static async start(config = "", port = freePort()): Promise<NatsServer> {
    const server = new NatsServer(port, config);
    await server.start();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child!.pid;
  }

  /** Starts it again, perhaps with something else added. */
  async start(config = this.#config): Promise<void> {
    this.#config = config;
    const file = join(this.#folder, "conf");
    writeFileSync(file, `listen: 127.0.0.1:${this.port}\n${this.#config}\n`);
    this.#child = Bun.spawn([NATS_SERVER!, "-c", file], { stdio: ["ignore", "ignore", "ignore"] });
    for (let attempt = 0; attempt < 200; attempt++) {
      if (await listens(this.port)) return;
      await Bun.sleep(25);
    }
    throw new Error("nats-server does not listen");
  }

  signal(name: NodeJS.Signals): void {
    this.#child!.kill(name);
  }

  /** Ends it at once, as a machine that fails. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true });
  }
}

/** Three servers that know each other, as dist/nats recommends. */
export function startThreeServers(): Promise<NatsServer[]> {
  const routes = [freePort(), freePort(), freePort()];
  const known = routes.map((port) => `"nats://127.0.0.1:${port}"`).join();
  const started = routes.map((port) =>
    NatsServer.start(
      `ping_interval: "2s", ping_max: 2, write_deadline: "5s"\n` +
        `cluster { name: test, listen: "127.0.0.1:${port}", routes: [${known}] }`,
    ),
  );
  return Promise.all(started);
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
