/**
 * The statistics pages, from a query to a Response: who may see what, and how often.
 *
 *   /stats?mode=M             the numbers; to the networks of TRACKER_STATS_NETWORKS
 *   /stats?mode=tpbs&format=F ┐
 *   /stats?mode=statedump     ├ everything; to the networks of TRACKER_FULLSCRAPE_NETWORKS, once in
 *   /scrape                   ┘ an interval, and only so many at a time
 *
 * What can be told from counters is answered at once. What needs a walk over all swarms is worked
 * out beside the announces and kept for some seconds, so that asking again costs nothing; such an
 * answer is a promise, and requests behind it on its connection wait until it is written.
 */
import { Networks } from "../ops/addresses.ts";
import type { Client } from "../http/client.ts";
import { COUNT, type Counters } from "../ops/counters.ts";
import type { SwarmMemory } from "../swarm/memory.ts";
import { Tracker } from "../swarm/tracker.ts";
import { chooseEncoding } from "./encodings.ts";
import { type Format, openExport } from "./export.ts";
import { type Figures, gatherFigures } from "./figures.ts";
import { HostReport } from "./hosts.ts";
import * as modes from "./modes.ts";
import { Modesty } from "./modesty.ts";
import type { NotesShared } from "./notes.ts";
import { countNetworks, rankSwarms, type Ranking } from "./ranking.ts";
import { EARLY_WIDTHS, Tallies } from "./tally.ts";

const NAMES_MAX = 100;
const NETWORKS_MAX = 128;

/** Seconds for which a walk's result is good. */
const CACHE_SECONDS = 5;

/** Exports at a time: each takes some 3 MiB, and may have a slow reader. */
const EXPORTS_MAX = 4;
/** When to ask again if there are too many. */
const EXPORTS_RETRY_SECONDS = 30;
/** A reader that takes nothing for so long has gone. */
const STALL_SECONDS = 30;

/** Formats of `mode=tpbs`, by their names there. */
const TPBS_FORMATS: Record<string, Format> = {
  ben: "ben",
  bin: "bin",
  txt: "txt",
  txtp: "txtp",
  url: "url",
};

const BINARY: readonly Format[] = ["ben", "bin"];

/** How the pages are set up. */
export interface PagesSettings {
  /** Where they are, without the slash before it; empty for nowhere. */
  readonly statsPath: string;
  /** Who may see the numbers, as CIDR. */
  readonly statsNetworks: readonly string[];
  /** Who may have full scrapes and other exports. */
  readonly fullScrapeNetworks: readonly string[];
  readonly fullScrapeIntervalSeconds: number;
}

export interface PagesDeps {
  readonly memory: SwarmMemory;
  readonly counters: Counters;
  readonly notes: NotesShared;
  /** Seconds since the start. */
  readonly now: () => number;
  /** What the tracker calls itself. */
  readonly version: string;
  readonly settings: PagesSettings;
}

/** A text worked out at most once in CACHE_SECONDS; whoever asks meanwhile waits for the same. */
class Cached<Value> {
  readonly #work: () => Promise<Value>;
  readonly #now: () => number;
  #value: Promise<Value> | undefined = undefined;
  #until = 0;

  constructor(work: () => Promise<Value>, now: () => number) {
    this.#work = work;
    this.#now = now;
  }

  get(): Promise<Value> {
    if (this.#value === undefined || this.#now() >= this.#until) {
      this.#until = Infinity;
      this.#value = this.#work().finally(() => {
        this.#until = this.#now() + CACHE_SECONDS;
      });
    }
    return this.#value;
  }
}

/** One for the event loop. */
export class Pages {
  /** Where they are, with the slash; empty for nowhere. */
  readonly path: string;
  readonly #deps: PagesDeps;
  readonly #tracker: Tracker;
  readonly #readers: Networks;
  readonly #scrapers: Networks;
  readonly #modesty: Modesty;
  readonly #tallies: Tallies;
  readonly #hosts: HostReport;
  readonly #ranking: Cached<Ranking>;
  readonly #networks: Cached<string>;
  /** Nothing can be told from it, nor forged with it. */
  readonly #trackerId = crypto.getRandomValues(new Uint32Array(1))[0];
  #exports = 0;

  constructor(deps: PagesDeps) {
    const { settings, now } = deps;
    this.path = settings.statsPath === "" ? "" : `/${settings.statsPath}`;
    this.#deps = deps;
    this.#tracker = new Tracker(deps.memory, new ArrayBuffer(2));
    this.#readers = new Networks(settings.statsNetworks);
    this.#scrapers = new Networks(settings.fullScrapeNetworks);
    this.#modesty = new Modesty(settings.fullScrapeIntervalSeconds);
    this.#tallies = new Tallies(deps.notes.tally);
    this.#hosts = new HostReport(deps.notes.hosts);
    this.#ranking = new Cached(() => rankSwarms(this.#tracker, NAMES_MAX), now);
    this.#networks = new Cached(() => this.#writeNetworks(), now);
  }

  /** Answers a request for the statistics whose query is `query`; `client` has been read. */
  answer(req: Request, query: string, client: Client): Response | Promise<Response> {
    const asked = new URLSearchParams(query);
    if (asked.has("info_hash")) {
      return this.#refuse("this is not where to announce: that ends in /announce");
    }
    const mode = asked.get("mode") ?? "peer";
    if (mode === "statedump") return this.#export(req, client, "statedump", "dump");
    if (mode === "tpbs") {
      const name = asked.get("format") ?? "";
      if (Object.hasOwn(TPBS_FORMATS, name)) {
        return this.#export(req, client, "tpbs", TPBS_FORMATS[name]);
      }
      return this.#refuse(`mode=tpbs needs a format: ${Object.keys(TPBS_FORMATS).join(", ")}`);
    }
    if (!this.#readers.containsBytes(client.address, 0, client.family)) {
      return this.#forbid("TRACKER_STATS_NETWORKS");
    }
    this.#deps.counters.row[COUNT.httpStats] += 1;
    return this.#tell(mode);
  }

  /** Answers a request for everything; `client` has been read. */
  answerFullScrape(req: Request, client: Client): Response {
    return this.#export(req, client, "scrape", "ben");
  }

  /** Whether a client may have a full scrape at all. */
  mayFullScrape(client: Client): boolean {
    return this.#scrapers.containsBytes(client.address, 0, client.family);
  }

  #tell(mode: string): Response | Promise<Response> {
    if (mode === "top10" || mode === "top100") {
      const most = mode === "top10" ? 10 : 100;
      return this.#ranking.get().then((ranking) => answerLate(modes.rankingText(ranking, most)));
    }
    if (mode === "s24s") return this.#networks.get().then(answerLate);
    const text = this.#textOf(mode);
    return text === undefined
      ? this.#refuse(`no such mode: there are ${MODES.join(", ")}`)
      : new Response(text, { headers: TEXT });
  }

  #textOf(mode: string): string | undefined {
    const { counters, memory, now, version } = this.#deps;
    const figures = (): Figures => gatherFigures(counters, memory, now());
    if (Object.hasOwn(FIGURE_TEXTS, mode)) return FIGURE_TEXTS[mode](figures());
    switch (mode) {
      case "renew":
        return modes.renewedText(this.#tallies.renewed());
      case "numwants":
        return modes.wantedText(this.#tallies.wanted());
      case "woodpeckers":
        return EARLY_WIDTHS.map((width, table) =>
          modes.networksText(width, this.#tallies.early(table, NETWORKS_MAX)),
        ).join("");
      case "hosts":
        return this.hostsText();
      case "version":
        return `${version}\n`;
      case "everything":
        return modes.everythingText(figures(), this.#tallies.renewed(), this.#trackerId, version);
      default:
        return undefined;
    }
  }

  /** Under which names announces come. */
  hostsText(): string {
    const hosts = this.#hosts;
    return modes.hostsText(hosts.hosts(NAMES_MAX), hosts.paths(NAMES_MAX), NAMES_MAX);
  }

  async #writeNetworks(): Promise<string> {
    const { ipv4By28, ipv4By24, ipv6By48 } = await countNetworks(this.#tracker, NETWORKS_MAX);
    return (
      modes.networksText(28, ipv4By28) +
      modes.networksText(24, ipv4By24) +
      modes.networksText(48, ipv6By48)
    );
  }

  // Everything.

  #export(req: Request, client: Client, kind: string, format: Format): Response {
    if (!this.mayFullScrape(client)) return this.#forbid("TRACKER_FULLSCRAPE_NETWORKS");
    const headers = exportHeaders(format, req.headers.get("accept-encoding") ?? "");
    if (req.method === "HEAD") return new Response(null, { headers });
    if (this.#exports >= EXPORTS_MAX) return this.#postpone(EXPORTS_RETRY_SECONDS);
    const { address, family } = client;
    const wait = this.#modesty.ask(kind, address, family, this.#deps.now());
    if (wait > 0) return this.#postpone(wait);
    const { counters, memory, now } = this.#deps;
    counters.row[COUNT.httpFullScrapes] += 1;
    this.#exports += 1;
    const { swarms } = gatherFigures(counters, memory, now());
    const plain = openExport(this.#tracker, format, swarms, STALL_SECONDS, {
      made: (bytes) => {
        counters.row[COUNT.httpFullScrapeBytes] += bytes;
      },
      over: () => {
        this.#exports -= 1;
      },
    });
    return new Response(compressed(plain, headers["Content-Encoding"]), { headers });
  }

  #refuse(why: string): Response {
    this.#deps.counters.row[COUNT.httpFailures] += 1;
    return new Response(`${why}\n`, { status: 400, headers: TEXT });
  }

  #forbid(setting: string): Response {
    this.#deps.counters.row[COUNT.httpForbidden] += 1;
    const text = `this is not shown to your network: the operator decides with ${setting}\n`;
    return new Response(text, { status: 403, headers: TEXT });
  }

  #postpone(seconds: number): Response {
    this.#deps.counters.row[COUNT.httpTooMany] += 1;
    const headers = { ...TEXT, "Retry-After": String(seconds) };
    return new Response(`not so often: try again in ${seconds} seconds\n`, {
      status: 429,
      headers,
    });
  }
}

const TEXT = { "Content-Type": "text/plain" };

/** Modes that need nothing but the figures. */
const FIGURE_TEXTS: Record<string, (figures: Figures) => string> = {
  peer: modes.peersText,
  conn: modes.connectionsText,
  scrp: modes.scrapesText,
  udp4: modes.udpText,
  tcp4: modes.httpText,
  fscr: modes.fullScrapesText,
  torr: modes.swarmsText,
  completed: modes.completedText,
  syncs: modes.syncsText,
  herr: modes.errorsText,
};

const MODES = [
  ...Object.keys(FIGURE_TEXTS),
  "everything",
  "top10",
  "top100",
  "renew",
  "numwants",
  "s24s",
  "woodpeckers",
  "hosts",
  "version",
  "tpbs",
  "statedump",
];

/** An answer that was a promise. */
function answerLate(text: string): Response {
  return new Response(text, { headers: { ...TEXT, Connection: "close" } });
}

function exportHeaders(format: Format, accepted: string): Record<string, string> {
  const encoding = chooseEncoding(accepted);
  const type = BINARY.includes(format) ? "application/octet-stream" : "text/plain";
  const headers: Record<string, string> = {
    "Content-Type": type,
    Vary: "Accept-Encoding",
    Connection: "close",
  };
  if (encoding !== "identity") headers["Content-Encoding"] = encoding;
  return headers;
}

function compressed(
  plain: ReadableStream<Uint8Array<ArrayBuffer>>,
  encoding: string | undefined,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  if (encoding === undefined) return plain;
  return plain.pipeThrough(new CompressionStream(encoding as "gzip"));
}
