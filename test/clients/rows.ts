/**
 * The rows of the matrix: which client seeds, which leeches, over what; which rows are quick enough
 * for each run of CI; which cannot work, whatever the tracker does.
 */

import type { Family } from "./hosts.ts";
import { PROGRAMS, type ProgramName } from "./programs.ts";

export type Transport = "http" | "udp";

/** A transport over a family of addresses, as columns and tables are headed. */
export interface Over {
  transport: Transport;
  family: Family;
}

/** One pair of clients. */
export interface Row extends Over {
  seeder: ProgramName;
  leecher: ProgramName;
}

interface Limit {
  program: ProgramName;
  holds: (over: Over) => boolean;
  reason: string;
}

/** What can be tried of a row: which of the two starts first, or the reasons why it cannot work. */
export type Plan = { first: "seeder" | "leecher" } | { impossible: string[] };

export const OVERS: readonly Over[] = [
  { transport: "http", family: 4 },
  { transport: "http", family: 6 },
  { transport: "udp", family: 4 },
  { transport: "udp", family: 6 },
];

const isUdpOverIpv6 = ({ transport, family }: Over): boolean => transport === "udp" && family === 6;

/** Clients that cannot announce at all. */
const CANNOT_ANNOUNCE: readonly Limit[] = [
  {
    program: "aria2",
    holds: isUdpOverIpv6,
    reason: "aria2 does not speak UDP to trackers over IPv6",
  },
  {
    program: "ctorrent",
    holds: ({ transport }) => transport === "udp",
    reason: "ctorrent does not speak UDP to trackers",
  },
  {
    program: "ctorrent",
    holds: ({ family }) => family === 6,
    reason: "ctorrent has no IPv6",
  },
];

/** Clients that take no peer from a reply, so that the other one has to find them. */
const TAKES_NO_PEERS: readonly Limit[] = [
  {
    program: "anacrolix",
    holds: ({ transport }) => transport === "udp",
    reason: "anacrolix asks for no peers in its first announce over UDP",
  },
  {
    program: "ktorrent",
    holds: isUdpOverIpv6,
    reason: "KTorrent reads one IPv6 peer from UDP as three of IPv4",
  },
  {
    program: "rtorrent",
    holds: isUdpOverIpv6,
    reason: "rtorrent reads one IPv6 peer from UDP as three of IPv4",
  },
  {
    program: "transmission",
    holds: isUdpOverIpv6,
    reason: "Transmission reads one IPv6 peer from UDP as three of IPv4",
  },
];

/** These meet each other in each run of CI; `QUICK` meet the one of them that waits for nothing. */
const ALWAYS: readonly ProgramName[] = ["aria2", "libtorrent", "transmission"];
const QUICK: readonly ProgramName[] = ["ctorrent", "deluge", "qbittorrent", "rtorrent"];
const PARTNER: ProgramName = "libtorrent";

/** Every pair of programs over everything. */
export function allRows(): Row[] {
  return OVERS.flatMap((over) =>
    PROGRAMS.flatMap((seeder) => PROGRAMS.map((leecher) => ({ seeder, leecher, ...over }))),
  );
}

/** The rows that CI runs. */
export function quickRows(): Row[] {
  return allRows().filter(({ seeder, leecher }) => {
    if (ALWAYS.includes(seeder) && ALWAYS.includes(leecher)) return true;
    if (seeder === PARTNER) return QUICK.includes(leecher);
    return leecher === PARTNER && QUICK.includes(seeder);
  });
}

/** The programs that rows need. */
export function programsOf(rows: readonly Row[]): ProgramName[] {
  const needed = new Set(rows.flatMap(({ seeder, leecher }) => [seeder, leecher]));
  return PROGRAMS.filter((program) => needed.has(program));
}

/** Pairs that find each other, and then do not get on. */
const QUARRELS: readonly (Pick<Row, "leecher"> & { seeders: ProgramName[]; reason: string })[] = [
  {
    seeders: ["ctorrent", "rtorrent"],
    leecher: "aria2",
    reason: "ctorrent and rtorrent drop aria2, which sends its bitfield after other messages",
  },
];

/**
 * How a row is tried. The seeder starts first, and the leecher gets it from the tracker; a leecher
 * that takes no peers starts before a seeder that does, and is found by it.
 */
export function planOf(row: Row): Plan {
  const limitOf = (limits: readonly Limit[], name: ProgramName): Limit | undefined =>
    limits.find(({ program, holds }) => program === name && holds(row));
  const reasonsOf = (...limits: ({ reason: string } | undefined)[]): string[] => [
    ...new Set(limits.flatMap((limit) => limit?.reason ?? [])),
  ];
  const never = reasonsOf(
    limitOf(CANNOT_ANNOUNCE, row.seeder),
    limitOf(CANNOT_ANNOUNCE, row.leecher),
    QUARRELS.find(
      ({ seeders, leecher }) => leecher === row.leecher && seeders.includes(row.seeder),
    ),
  );
  if (never.length > 0) return { impossible: never };
  const leecher = limitOf(TAKES_NO_PEERS, row.leecher);
  if (leecher === undefined) return { first: "seeder" };
  const seeder = limitOf(TAKES_NO_PEERS, row.seeder);
  if (seeder === undefined) return { first: "leecher" };
  return { impossible: reasonsOf(seeder, leecher) };
}

export function describeRow(row: Row): string {
  return `${row.seeder} -> ${row.leecher} ${describeOver(row)}`;
}

export function describeOver({ transport, family }: Over): string {
  return `${transport} IPv${family}`;
}
