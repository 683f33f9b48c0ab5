/**
 * `buntracker selftest --all URL…`: which statements of the BEPs a tracker keeps, at every address
 * of every URL.
 *
 *   URL ─► addresses ─► first an announce: one that is refused makes all else pointless
 *                    └► each check of the table, alone: new wire, new info hash, then `leave`
 *
 * Checks run one after another, 20 requests a second, each in swarms of its own that are left at
 * the end. Nothing here knows which tracker it is.
 */
import { listAddresses } from "../../host/interfaces.ts";
import { isLoopback, isPublicAddress } from "./own-source.ts";
import { ADDRESSES_MAX, addressesOf, hostOf, readTrackerUrl, serverOf } from "../tracker-url.ts";
import { HTTP_CHECKS } from "./http-checks.ts";
import { HttpWire } from "./http-wire.ts";
import { SCRAPE_CHECKS } from "./scrape-checks.ts";
import { type Check, has, type Manners, NotTried, ownPeer, Pace } from "./statements.ts";
import { type Exchange, hold, POLITE, type SwarmClient, type Weight } from "./statements.ts";
import { UDP_CHECKS } from "./udp-checks.ts";
import { UdpWire } from "./udp-wire.ts";
import { WEBSOCKET_CHECKS } from "./websocket-checks.ts";
import { WebSocketWire } from "./websocket-wire.ts";

/** What became of a check. */
export type Outcome = "held" | "broken" | "not tried";

export interface Result extends Exchange {
  id: string;
  weight: Weight;
  says: string;
  outcome: Outcome;
  /** What is wrong, or why it was not tried; empty if it held. */
  problem: string;
}

/** The results at one address of a URL. `address` is empty if there is none. */
export interface Report {
  url: string;
  address: string;
  /** Why nothing could be tried; empty if it could. */
  problem: string;
  results: Result[];
}

/** What each wire has. */
interface Wire {
  readonly exchanges: Exchange[];
  leave(): Promise<void>;
  close(): void;
}

const NOT_STORED =
  "a second peer is not told of the first, on which most checks rest; this machine has that " +
  "address, and many trackers store no peers of their own: test it from elsewhere, or at 127.0.0.1";

/** How to examine; what is left out is what a stranger's tracker can bear. */
export interface Examination {
  manners: Manners;
  /** The checks to make; all if undefined. */
  only: ReadonlySet<string> | undefined;
  /** Whether a tracker must answer a plain announce first, and again after what it broke. */
  meets: boolean;
  /** Is told each report once it is there. */
  heard: (report: Report) => void;
}

/** Examines all URLs. */
export async function examineUrls(
  urls: readonly string[],
  given: Partial<Examination> = {},
): Promise<Report[]> {
  const options = { manners: POLITE, only: undefined, meets: true, heard: () => {}, ...given };
  const reports: Report[] = [];
  const tell = (report: Report) => {
    reports.push(report);
    options.heard(report);
  };
  const pace = new Pace(options.manners.pause);
  for (const text of urls) {
    const url = readTrackerUrl(text);
    const report = { url: text, address: "", results: [] };
    if (typeof url === "string") {
      tell({ ...report, problem: url });
      continue;
    }
    const addresses = (await addressesOf(hostOf(url))).slice(0, ADDRESSES_MAX);
    if (addresses.length === 0) tell({ ...report, problem: "its host has no address" });
    for (const address of addresses) {
      const found = await examineAddress(url, address, { ...options, pace });
      tell({ url: text, address, ...found });
    }
  }
  return reports;
}

type Found = Pick<Report, "problem" | "results">;

interface Way extends Omit<Examination, "heard"> {
  pace: Pace;
}

function examineAddress(url: URL, address: string, way: Way): Promise<Found> {
  const { manners, pace } = way;
  if (url.protocol === "udp:") {
    const open = () => new UdpWire({ address, port: Number(url.port) }, manners, pace);
    return examine(
      open,
      checksAt(UDP_CHECKS, address, way.only),
      (wire) => meet(wire, address),
      way,
    );
  }
  const server = serverOf(url, address);
  if (/^wss?:$/.test(url.protocol)) {
    const target = `${url.pathname}${url.search}`;
    const question = { ...server, target, timeout: manners.answer };
    const open = () => new WebSocketWire(question, manners, pace);
    const join = async (wire: WebSocketWire) => void (await wire.join({ left: 1 }));
    return examine(open, checksAt(WEBSOCKET_CHECKS, address, way.only), join, way);
  }
  const place = { ...server, pathname: url.pathname, search: url.search };
  const open = () => new HttpWire(place, manners, pace);
  const checks = checksAt([...HTTP_CHECKS, ...SCRAPE_CHECKS], address, way.only);
  return examine(open, checks, (wire) => meet(wire, address), way);
}

/** The checks for an address, as far as they are asked for. */
export function checksAt<W>(
  checks: readonly Check<W>[],
  address: string,
  only?: ReadonlySet<string>,
): Check<W>[] {
  const own = address.includes(":") ? 6 : 4;
  const isPublic = isPublicAddress(address);
  return checks
    .filter(({ id, family = own }) => family === own && (only === undefined || only.has(id)))
    .map((check) => (check.risky && isPublic ? { ...check, run: spare } : check));
}

function spare(): Promise<void> {
  return Promise.reject(new NotTried("it ends or burdens some trackers, and this one is public"));
}

/** Two peers meet. Without that nothing else is worth a try, if it is known why. */
async function meet(client: SwarmClient, address: string): Promise<void> {
  const first = ownPeer();
  await client.announce(first);
  const { peers } = await client.announce(ownPeer());
  const isOwn = !isLoopback(address) && (listAddresses() ?? []).includes(address);
  hold(!isOwn || has(peers, first), NOT_STORED);
}

const GONE = "the tracker does not answer a plain announce";
const TOO_SLOW = "its answers are so slow that there is no time left";
const NOTHING: Attempt = { outcome: "not tried", problem: "", sent: "", came: "" };

type Attempt = Pick<Result, "outcome" | "problem" | "sent" | "came">;

async function examine<W extends Wire>(
  open: () => W,
  checks: readonly Check<W>[],
  begin: (wire: W) => Promise<void>,
  { meets, manners }: Way,
): Promise<Found> {
  const end = performance.now() + manners.whole;
  const problem = meets ? (await attempt(open, begin)).problem : "";
  let gone = problem !== "";
  const results: Result[] = [];
  for (const { id, weight, says, run } of checks) {
    const why = gone ? GONE : performance.now() > end ? TOO_SLOW : "";
    const found = why === "" ? await attempt(open, run) : { ...NOTHING, problem: why };
    // After a fault it must be known whether the tracker is still there.
    if (meets && found.outcome === "broken" && (await attempt(open, begin)).outcome === "broken") {
      gone = true;
      found.problem += "; then the tracker answers no more";
    }
    results.push({ id, weight, says, ...found });
  }
  return { problem, results };
}

/** Runs one check with a wire of its own. */
async function attempt<W extends Wire>(
  open: () => W,
  run: (wire: W) => Promise<void>,
): Promise<Attempt> {
  const wire = open();
  let outcome: Outcome = "held";
  let problem = "";
  let last: Exchange | undefined;
  try {
    await run(wire);
    last = wire.exchanges.at(-1);
  } catch (error) {
    last = wire.exchanges.at(-1);
    outcome = error instanceof NotTried ? "not tried" : "broken";
    problem = error instanceof Error ? error.message : String(error);
  }
  const { sent = "", came = "" } = last ?? {};
  // What is left undone at the end of a check is no part of it.
  await wire.leave().catch(() => {});
  wire.close();
  return { outcome, problem, sent, came };
}

/** Whether every must that was tried held, and something was tried at every address. */
export function isConformant(reports: readonly Report[]): boolean {
  return reports.every(
    ({ problem, results }) =>
      problem === "" &&
      !results.some(({ outcome, weight }) => outcome === "broken" && weight === "must"),
  );
}
