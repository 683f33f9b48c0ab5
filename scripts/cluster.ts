/**
 * `make cluster`: three trackers and three NATS servers on loopback, until Ctrl-C.
 *
 *   tracker a   HTTP and UDP 6969, operator 6970   NATS 4222, routes 6222
 *   tracker b                7069           7070        4223         6223
 *   tracker c                7169           7170        4224         6224
 *
 * The servers have the configuration of the release, dist/nats/loopback.conf, and passwords that
 * are drawn for this run: one for trackers, one for servers. Each tracker prefers its own server,
 * and takes another when that ends: try `kill`. One that ends without such a signal ends all, with
 * exit code 1. With --port N and --nats-port N it takes other ports.
 *
 * All ports must be free before anything starts: a tracker would connect to a foreign NATS server
 * on a port that is taken, and send it the password.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const ROOT = resolve(import.meta.dir, "..");
const NODES = ["a", "b", "c"];
const PORTS_APART = 100;
const ROUTES_APART = 2000;
/** What NATS, a tracker and the runtimes of both say before they end. */
const FATAL = /\[FTL\]|^buntracker: error|^panic:|^fatal error:/;
/** Of each program, to find the reason of its end. */
const LINES_KEPT = 1000;

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "6969" },
    "nats-port": { type: "string", default: "4222" },
  },
});
const first = Number(values.port);
const firstNats = Number(values["nats-port"]);
const paths = `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin`;
const server = Bun.which("nats-server", { PATH: paths });
if (server === null) {
  console.error("there is no nats-server: apt-get install nats-server, or see nats.io/download");
  process.exit(1);
}

const ports = (base: number, apart: number): number[] => NODES.map((_, at) => base + apart * at);
for (const port of [...ports(firstNats, 1), ...ports(firstNats + ROUTES_APART, 1)]) {
  const remedy = "sudo systemctl stop nats-server, or take others with --nats-port N";
  if (!(await isFree(port))) refuse(port, `which a NATS server needs: ${remedy}`);
}
for (const port of [...ports(first, PORTS_APART), ...ports(first + 1, PORTS_APART)]) {
  const remedy = "sudo systemctl stop buntracker, or take others with --port N";
  if (!(await isFree(port))) refuse(port, `which a tracker needs: ${remedy}`);
}

function refuse(port: number, why: string): never {
  console.error(`another program has 127.0.0.1:${port}, ${why}`);
  process.exit(1);
}

/** True if no program listens there, over TCP or UDP. */
async function isFree(port: number): Promise<boolean> {
  const hostname = "127.0.0.1";
  try {
    Bun.listen({ hostname, port, socket: { data() {} } }).stop(true);
    (await Bun.udpSocket({ hostname, port })).close();
    return true;
  } catch (error) {
    // What else keeps a program from it, such as a port below 1024, it says itself.
    return (error as NodeJS.ErrnoException).code !== "EADDRINUSE";
  }
}

const draw = (): string => crypto.getRandomValues(new Uint8Array(16)).toHex();
const [password, routePassword] = [draw(), draw()];
const started: { name: string; child: Bun.Subprocess }[] = [];
/** Resolves when all must end: to the reason, or to nothing after Ctrl-C. */
const over = Promise.withResolvers<string | undefined>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => over.resolve(undefined));
}

/** Starts a program whose lines are shown behind its name. */
function start(name: string, command: string[], env: Record<string, string>): void {
  const child = Bun.spawn(command, {
    env: { PATH: paths, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    // Ctrl-C reaches this program alone, which ends the others in order.
    detached: true,
  });
  started.push({ name, child });
  const lines: string[] = [];
  const shown = [child.stdout, child.stderr].map((stream) => show(name, stream, lines));
  void Promise.all([child.exited, ...shown]).then(([code]) => {
    console.log(`${name} │ ended: ${code}`);
    // NATS ends with 1 after a SIGTERM, as after an error.
    const wasAsked = code === 0 || child.signalCode !== null || lines.some(isShutdown);
    const reason = lines.findLast((line) => FATAL.test(line)) ?? `exit code ${code}`;
    if (!wasAsked) over.resolve(`${name} has ended by itself: ${reason}`);
    if (started.every(({ child }) => hasEnded(child))) over.resolve("each was ended by a signal");
  });
}

const isShutdown = (line: string): boolean => line.includes("Initiating Shutdown");
const hasEnded = (child: Bun.Subprocess): boolean =>
  child.exitCode !== null || child.signalCode !== null;

/** Shows each line, and keeps the last ones in `kept`. */
async function show(
  name: string,
  stream: ReadableStream<Uint8Array>,
  kept: string[],
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) console.log(`${name} │ ${line}`);
    kept.push(...lines);
    kept.splice(0, Math.max(0, kept.length - LINES_KEPT));
  }
}

const routeOf = (at: number): string =>
  `127.0.0.1:${firstNats + ROUTES_APART + (at % NODES.length)}`;
for (const [at, node] of NODES.entries()) {
  const port = String(firstNats + at);
  const config = join(ROOT, "dist/nats/loopback.conf");
  start(`nats ${node}`, [server, "-c", config, "-a", "127.0.0.1", "-p", port], {
    NATS_PASSWORD: `"${password}"`,
    NATS_ROUTE_PASSWORD: `"${routePassword}"`,
    NATS_ROUTE_LISTEN: `"${routeOf(at)}"`,
    NATS_ROUTE: `"nats://server:${routePassword}@${routeOf(at + 1)}"`,
  });
}
for (const [at, node] of NODES.entries()) {
  const port = first + PORTS_APART * at;
  const nearest = NODES.map((_, step) => firstNats + ((at + step) % NODES.length));
  const address = `127.0.0.1:${port}`;
  start(`tracker ${node}`, [join(ROOT, "dist/bin/buntracker")], {
    ...{ TRACKER_UDP_ADDRESS: address, TRACKER_HTTP_ADDRESS: address, TRACKER_CLUSTER_NODE: node },
    TRACKER_ADMIN_ADDRESS: `127.0.0.1:${port + 1}`,
    TRACKER_CLUSTER_URL: nearest.map((nats) => `nats://127.0.0.1:${nats}`).join(","),
    ...{ TRACKER_CLUSTER_USER: "buntracker", TRACKER_CLUSTER_PASSWORD: password },
    // All clients of a trial come from this machine.
    TRACKER_OWN_ADDRESSES: "store",
  });
}
const table = `TRACKER_ADMIN_ADDRESS=127.0.0.1:${first + 1} dist/bin/buntracker cluster`;
console.log(`\nwhat they hear of each other:  ${table}\nCtrl-C ends all of them\n`);

const problem = await over.promise;
// The trackers tell each other that they end.
for (const kind of ["tracker", "nats"]) {
  const own = started.filter(({ name }) => name.startsWith(kind));
  for (const { child } of own) child.kill("SIGTERM");
  await Promise.race([Promise.all(own.map(({ child }) => child.exited)), Bun.sleep(10_000)]);
  for (const { child } of own) child.kill("SIGKILL");
}
if (problem !== undefined) console.error(`${problem}; none is left`);
process.exit(problem === undefined ? 0 : 1);
