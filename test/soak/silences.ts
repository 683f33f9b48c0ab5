/**
 * WebSockets that are silent for three minutes, through each proxy that is installed, with the
 * files that we ship: the pings must keep them open, and the client must still be in its swarm.
 * Proxies cut connections of 15 to 75 s of silence, so nothing but the pings can do that. All are
 * tried at once; the results are in test/soak/results/silences.md.
 */
import { resolve } from "node:path";
import { startTracker } from "../e2e/harness.ts";
import { isInstalled, PROXIES, startProxy } from "../e2e/real-proxies.ts";
import { WsClient } from "../e2e/ws-client.ts";

const SILENT_MILLISECONDS = 180_000;
const RESULTS = resolve(import.meta.dir, "results/silences.md");

/** What became of a connection through the proxy. */
async function silenceBehind(name: (typeof PROXIES)[number]): Promise<string> {
  if (!isInstalled(name)) return "is not installed";
  const env = { TRACKER_TRUSTED_PROXIES: "127.0.0.1", TRACKER_WEBSOCKET_INTERVAL: "5m" };
  await using tracker = await startTracker({ env });
  await using proxy = await startProxy(name, tracker.port);
  const url = `ws://127.0.0.1:${proxy.port}/announce`;
  const client = await WsClient.open(url, "-WW0208-aaaaaaaaaaaa");
  await client.announce({ left: 0 });
  const began = performance.now();
  while (performance.now() - began < SILENT_MILLISECONDS && client.closeCode === undefined) {
    await Bun.sleep(100);
  }
  const seconds = Math.round((performance.now() - began) / 1000);
  if (client.closeCode !== undefined) return `closed with ${client.closeCode} after ${seconds} s`;
  const other = await WsClient.open(url, "-WW0208-bbbbbbbbbbbb");
  const { complete, incomplete } = await other.announce();
  const again = await client.announce({ left: 0 });
  const isThere = complete === 1 && incomplete === 1 && again["complete"] === 1;
  return isThere ? `open after ${seconds} s, its peer is stored` : "open, but its peer is gone";
}

function versionOf(name: string): string {
  if (!isInstalled(name)) return "-";
  const { stdout, stderr } = Bun.spawnSync([name, name === "caddy" ? "version" : "-v"]);
  return /\d+\.\d+[.\d]*/.exec(`${stdout}${stderr}`)?.[0] ?? "?";
}

const outcomes = await Promise.all(PROXIES.map(silenceBehind));
const rows = PROXIES.map((name, at) => `| ${name} | ${versionOf(name)} | ${outcomes[at]} |\n`);
const text =
  "# WebSockets silent for three minutes\n\nBy `make silences`, with the files of `dist`.\n\n" +
  `| proxy | version | the connection |\n| --- | --- | --- |\n${rows.join("")}`;
await Bun.write(RESULTS, text);
process.stdout.write(text);
if (outcomes.some((outcome) => !outcome.startsWith("open after"))) process.exitCode = 1;
