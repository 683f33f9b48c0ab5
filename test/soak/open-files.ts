/**
 * Connections to the clients' and the operator's port at once, more than there are files for: one
 * core would be busy for nothing, had the tracker not kept files for everything else.
 */
import { freePort, startTracker } from "../e2e/harness.ts";
import { cpuShareOf } from "./vitals.ts";

const FILES = 256;
const WORKERS = 32;
const HELD_MILLISECONDS = 3000;
/** Accepting in vain takes a whole core. */
const CORES_MAX = 0.3;

/** The phase of the soak: what is wrong, as sentences. */
export async function complaintsOfFiles(rounds = 3): Promise<string[]> {
  const adminPort = freePort();
  const env = {
    TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
    TRACKER_UDP_WORKERS: String(WORKERS),
  };
  await using tracker = await startTracker({ files: FILES, env });
  const complaints: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const close = await fill([tracker.port, adminPort], FILES);
    const cores = await cpuShareOf(tracker.pid, HELD_MILLISECONDS);
    if (cores > CORES_MAX) complaints.push(`${cores.toFixed(2)} cores are busy without a request`);
    for (const port of [tracker.port, adminPort]) {
      const options = { keepalive: false, signal: AbortSignal.timeout(5000) };
      const answer = await fetch(`http://127.0.0.1:${port}/health`, options).catch(() => undefined);
      if (answer?.status !== 200) complaints.push(`no health on a port full of connections`);
    }
    close();
  }
  return complaints;
}

/** Opens so many connections to each port, with half a request. Returns what closes them. */
async function fill(ports: number[], count: number): Promise<() => void> {
  const closers: (() => void)[] = [];
  for (const port of ports) {
    for (let i = 0; i < count; i++) {
      const quiet = { data() {}, error() {} };
      const opening = Bun.connect({ hostname: "127.0.0.1", port, socket: quiet });
      // One too many may be closed before we know that it was open.
      const socket = await opening.catch(() => undefined);
      socket?.write("GET");
      if (socket !== undefined) closers.push(() => socket.terminate());
    }
  }
  return () => closers.forEach((close) => close());
}
