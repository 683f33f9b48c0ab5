/**
 * A flood of requests for the page from another process: what costs an attacker 27 bytes.
 *
 *   bun test/soak/pages.ts PORT SECONDS BYTES_PER_SECOND CONNECTIONS [TARGET]
 *
 * All connections come from one address, pipeline requests evenly, read all of what comes, and are
 * opened again when they are closed. It prints how many requests it sent.
 */
import { connect, type Socket } from "node:net";
import { startTracker } from "../e2e/harness.ts";

const STEP_MILLISECONDS = 20;
const SOURCE = "127.0.0.77";

const BYTES_PER_SECOND = 500_000;
const CONNECTIONS = 1000;
const SLOWER_MAX = 10;

/** The phase of the soak: what is wrong, as sentences. */
export async function complaintsOfPages(seconds = 10): Promise<string[]> {
  await using tracker = await startTracker();
  const { port } = tracker;
  const quiet = await medianOfAnnounces(port, seconds);
  const flooding = floodPages(port, seconds + 2, BYTES_PER_SECOND, CONNECTIONS);
  await Bun.sleep(1000);
  const flooded = await medianOfAnnounces(port, seconds);
  await flooding;
  if (flooded <= SLOWER_MAX * quiet) return [];
  const times = `${quiet.toFixed(1)} and ${flooded.toFixed(1)} ms`;
  return [`announces before and in a flood of pages take ${times}`];
}

/** The median of the time of an announce, in milliseconds. */
async function medianOfAnnounces(port: number, seconds: number): Promise<number> {
  const query = `info_hash=${"%5a".repeat(20)}&peer_id=${"p".repeat(20)}&port=6881&left=1`;
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const start = performance.now();
    const url = `http://127.0.0.1:${port}/announce?${query}`;
    await (await fetch(url, { keepalive: false })).bytes();
    times.push(performance.now() - start);
    await Bun.sleep(10);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

/** Starts such a flood; resolves to the number of requests sent. */
async function floodPages(
  port: number,
  seconds: number,
  bytesPerSecond: number,
  connections: number,
  target = "/",
): Promise<number> {
  const numbers = [port, seconds, bytesPerSecond, connections].map(String);
  const child = Bun.spawn([process.execPath, import.meta.path, ...numbers, target], {
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdout: "pipe",
    stderr: "inherit",
  });
  return Number(await new Response(child.stdout).text());
}

if (import.meta.main) {
  const [port, seconds, bytesPerSecond, connections] = process.argv.slice(2, 6).map(Number);
  console.log(await send(port!, seconds!, bytesPerSecond!, connections!, process.argv[6] ?? "/"));
  process.exit(0);
}

async function send(
  port: number,
  seconds: number,
  bytesPerSecond: number,
  connections: number,
  target: string,
): Promise<number> {
  const request = `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const sockets: (Socket | undefined)[] = Array.from({ length: connections }, () => undefined);
  const start = performance.now();
  const perSecond = bytesPerSecond / request.length;
  let sent = 0;
  while (performance.now() < start + seconds * 1000) {
    const due = ((performance.now() - start) / 1000) * perSecond;
    for (; sent < due; sent++) {
      const at = sent % connections;
      sockets[at] ??= open(port, () => (sockets[at] = undefined));
      sockets[at].write(request);
    }
    await Bun.sleep(STEP_MILLISECONDS);
  }
  for (const socket of sockets) socket?.destroy();
  return sent;
}

function open(port: number, closed: () => void): Socket {
  const socket = connect({ host: "127.0.0.1", port, localAddress: SOURCE });
  socket.on("error", () => {});
  socket.on("close", closed);
  return socket.resume();
}
