/**
 * `buntracker swarm HASH…`: what the running tracker knows of a swarm.
 *
 *   7e9903517dd792130e2a7a1ae9a62cf2dee3cb80
 *     seeders      3     IPv4 2, IPv6 1
 *     leechers     1     IPv4 1, IPv6 0
 *     browsers     2     seeders 0, leechers 2
 *     downloads   12
 *     announces    0.0133 a second at least: peers of the last five minutes, each counted once
 *     last seen   median 10m ago, newest 45s, oldest 25m
 *     203.0.113.9 6881   seeder, 45s ago
 *
 * With a token the answer must prove that it is the tracker's; without one it is printed as it
 * came, like the figures of `top`. Figures that are not numbers are refused.
 */
import * as z from "zod/mini";

import { showSeconds } from "../config/settings.ts";
import { printable } from "./printable.ts";

const AMOUNT = z.number().check(z.gte(0), z.lte(Number.MAX_SAFE_INTEGER));
const COUNTS = z.object({ seeders: AMOUNT, leechers: AMOUNT });
const SWARM = z.object({
  info_hash: z.string(),
  known: z.boolean(),
  seeders: AMOUNT,
  leechers: AMOUNT,
  downloads: AMOUNT,
  ipv4: COUNTS,
  ipv6: COUNTS,
  websocket: z.optional(COUNTS),
  announces_per_second: AMOUNT,
  age_seconds: z.optional(z.object({ newest: AMOUNT, median: AMOUNT, oldest: AMOUNT })),
  empty_seconds: z.optional(AMOUNT),
  peers: z.optional(
    z.array(
      z.object({ address: z.string(), port: AMOUNT, seeder: z.boolean(), age_seconds: AMOUNT }),
    ),
  ),
});
const ANSWER = z.object({ swarms: z.array(SWARM) });

/** A swarm as the tracker describes it. */
export type DescribedSwarm = z.output<typeof SWARM>;

/** The swarms in an answer of the tracker; undefined if it is none. */
export function readSwarms(text: string): DescribedSwarm[] | undefined {
  try {
    return ANSWER.safeParse(JSON.parse(text)).data?.swarms;
  } catch {
    return undefined;
  }
}

/** The swarm in lines for a terminal. */
export function swarmText(swarm: DescribedSwarm): string {
  const { ipv4, ipv6, websocket, age_seconds: ages } = swarm;
  const rows: [string, string][] = [
    ["seeders", withParts(swarm.seeders, `IPv4 ${ipv4.seeders}, IPv6 ${ipv6.seeders}`)],
    ["leechers", withParts(swarm.leechers, `IPv4 ${ipv4.leechers}, IPv6 ${ipv6.leechers}`)],
  ];
  if (websocket !== undefined) {
    const { seeders, leechers } = websocket;
    const roles = `seeders ${seeders}, leechers ${leechers}`;
    rows.push(["browsers", withParts(seeders + leechers, roles)]);
  }
  rows.push(["downloads", String(swarm.downloads)]);
  const counted = "at least: peers of the last five minutes, each counted once";
  rows.push(["announces", `${swarm.announces_per_second} a second ${counted}`]);
  if (ages !== undefined) {
    const [median, newest, oldest] = [ages.median, ages.newest, ages.oldest].map(showSeconds);
    rows.push(["last seen", `median ${median} ago, newest ${newest}, oldest ${oldest}`]);
  }
  if (swarm.empty_seconds !== undefined) {
    rows.push(["empty", `for ${showSeconds(swarm.empty_seconds)}`]);
  }
  const peers = (swarm.peers ?? []).map(
    ({ address, port, seeder, age_seconds }) =>
      `  ${printable(address)} ${port}   ${seeder ? "seeder" : "leecher"}, ` +
      `${showSeconds(age_seconds)} ago\n`,
  );
  const lines = rows.map(([name, value]) => `  ${name.padEnd(10)} ${value}\n`);
  const head = `${printable(swarm.info_hash)}${swarm.known ? "" : "   not known"}\n`;
  return head + (swarm.known ? lines.join("") + peers.join("") : "");
}

function withParts(sum: number, parts: string): string {
  return `${String(sum).padEnd(6)} ${parts}`;
}
