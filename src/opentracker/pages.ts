/**
 * The statistics pages, from query to answer, with access by network and limits.
 *
 *   /stats?mode=M             numbers, for the networks of TRACKER_STATS_NETWORKS
 *   /stats?mode=tpbs&format=F ┐
 *   /stats?mode=statedump     ├ exports of all swarms, for TRACKER_FULLSCRAPE_NETWORKS: one in an
 *   /scrape                   ┘ interval for each network, and EXPORTS_MAX at a time
 *
 * The network of the client is judged before the query is parsed: 15 KB of `a&` cost 550 µs. Texts
 * made from counters are answered at once and kept for a second. Texts that need a walk over all
 * swarms are made in turns and kept for some seconds, so that repeated requests cost nothing. Such
 * an answer is a promise, and later requests on its connection wait for it.
 */
import { counted } from "../net/counted.ts";
import { Networks } from "../net/addresses.ts";
import { answerBytes } from "../http/answer.ts";
import type { Client } from "../gates/client.ts";
import { answerForm, type Exchange } from "../http/exchange.ts";
import { COUNT, type Counters } from "../counters/counters.ts";
import type { Store } from "../swarm/store.ts";
import { chooseEncoding } from "./encodings.ts";
import { type Format, openExport } from "./export.ts";
import { type Figures, gatherFigures } from "./figures.ts";
import { HostReport, type NameCount } from "../notes/hosts.ts";
import * as modes from "./modes.ts";
import { Cooldown } from "./cooldown.ts";
import type { NotesShared } from "../notes/notes.ts";
import { countNetworks, rankSwarms } from "./ranking.ts";
import { EARLY_WIDTHS, Tallies } from "../notes/tally.ts";

const NAMES_MAX = 100;
const ORIGINS_MAX = 20;
const NETWORKS_MAX = 128;

/** Seconds for which the result of a walk is kept. */
const CACHE_SECONDS = 5;
/** Seconds for which the text of another mode is kept. */
const TEXT_SECONDS = 1;

/** No page needs a longer query. */
const QUERY_LENGTH_MAX = 1024;

/** Longer answers are sent as a Response. */
const IN_PLACE_BYTES_MAX = 16 * 1024;

/** Exports at a time: each takes some 3 MiB, and may have a slow reader. */
const EXPORTS_MAX = 4;
/** The Retry-After if too many exports run. */
const EXPORTS_RETRY_SECONDS = 30;
/** An export ends if its client reads nothing for this long. */
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

/** The settings of the pages. */
export interface PagesSettings {
  /** Networks that may see the numbers, as CIDR. */
  readonly statsNetworks: readonly string[];
  /** Networks that may request full scrapes and other exports. */
  readonly fullScrapeNetworks: readonly string[];
  readonly fullScrapeIntervalSeconds: number;
}

export interface PagesDeps {
  readonly store: Store;
  readonly counters: Counters;
  readonly notes: NotesShared;
  /** Seconds since the start. */
  readonly now: () => number;
  /** Name and version of the tracker. */
  readonly version: string;
  readonly settings: PagesSettings;
  /** Counts changes of peers that other trackers told; a tracker alone lacks it. */
  readonly heard?: () => number;
}

/** A text made at most once in CACHE_SECONDS; requests in between share it. */
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

/** The texts of the modes top10 and top100, and the info hashes of the swarms with most peers. */
interface Ranked {
  top10: string;
  top100: string;
  largest: readonly string[];
}

/** The text of a mode, and when it expires. */
interface Kept {
  bytes: Uint8Array<ArrayBuffer>;
  until: number;
}

/** The statistics pages; one object, for the event loop. */
export class Pages {
  /** The longest answer that is written in place, in bytes. */
  readonly bytesMax = IN_PLACE_BYTES_MAX;
  /** The path of the pages. */
  readonly path = "/stats";
  /** The origins with the most WebSockets, by name; set where there are WebSockets. */
  origins: (most: number) => readonly NameCount[] = () => [];
  readonly #deps: PagesDeps;
  readonly #readers: Networks;
  readonly #scrapers: Networks;
  readonly #cooldown: Cooldown;
  readonly #tallies: Tallies;
  readonly #hosts: HostReport;
  readonly #ranking: Cached<Ranked>;
  readonly #networks: Cached<string>;
  readonly #texts = new Map<string, Kept>();
  /** A random number without meaning. */
  readonly #trackerId = crypto.getRandomValues(new Uint32Array(1))[0];
  #exports = 0;

  constructor(deps: PagesDeps) {
    const { settings, now } = deps;
    this.#deps = deps;
    this.#readers = new Networks(settings.statsNetworks);
    this.#scrapers = new Networks(settings.fullScrapeNetworks);
    this.#cooldown = new Cooldown(settings.fullScrapeIntervalSeconds);
    this.#tallies = new Tallies(deps.notes.tally);
    this.#hosts = new HostReport(deps.notes.hosts);
    this.#ranking = new Cached(() => this.#writeRanking(), now);
    this.#networks = new Cached(() => this.#writeNetworks(), now);
  }

  /** Answers a request for the statistics whose query is `query`; `client` has been read. */
  answer(exchange: Exchange, query: string, client: Client): number | Response | Promise<Response> {
    const reads = this.#readers.containsBytes(client.address, 0, client.family);
    if (!reads && !this.mayFullScrape(client)) {
      return this.#forbid(exchange, "TRACKER_STATS_NETWORKS");
    }
    if (query.length > QUERY_LENGTH_MAX) return this.#refuse(exchange, "the query is too long");
    const asked = new URLSearchParams(query);
    const twice = ["mode", "format"].find((name) => asked.getAll(name).length > 1);
    if (twice !== undefined) return this.#refuse(exchange, `${twice} is given twice`);
    const mode = asked.get("mode") ?? "peer";
    if (mode === "statedump") return this.#export(exchange, client, "statedump", "dump");
    if (mode === "tpbs") {
      const name = asked.get("format") ?? "";
      if (Object.hasOwn(TPBS_FORMATS, name)) {
        return this.#export(exchange, client, "tpbs", TPBS_FORMATS[name]);
      }
      const formats = Object.keys(TPBS_FORMATS).join(", ");
      return this.#refuse(exchange, `mode=tpbs needs a format: ${formats}`);
    }
    if (!reads) return this.#forbid(exchange, "TRACKER_STATS_NETWORKS");
    const answer = this.#tell(exchange, mode);
    if (answer === undefined) {
      return this.#refuse(exchange, `unknown mode: use one of ${MODES.join(", ")}`);
    }
    this.#deps.counters.row[COUNT.httpStats] += 1;
    return answer;
  }

  /** Answers a full scrape; `client` has been read. */
  answerFullScrape(exchange: Exchange, client: Client): number | Response {
    return this.#export(exchange, client, "scrape", "ben");
  }

  /** Whether the client's network may request full scrapes. */
  mayFullScrape(client: Client): boolean {
    return this.#scrapers.containsBytes(client.address, 0, client.family);
  }

  /** Undefined for an unknown mode. */
  #tell(exchange: Exchange, mode: string): number | Response | Promise<Response> | undefined {
    if (mode === "top10" || mode === "top100") {
      return this.#ranking.get().then((ranked) => plainText(ranked[mode]));
    }
    if (mode === "s24s") return this.#networks.get().then(plainText);
    const bytes = this.#bytesOf(mode);
    if (bytes === undefined) return undefined;
    if (bytes.length > IN_PLACE_BYTES_MAX) return new Response(bytes, { headers: TEXT });
    exchange.form = GOOD;
    return answerBytes(exchange, bytes);
  }

  /** The text of a mode, a second old at most; undefined for an unknown mode. */
  #bytesOf(mode: string): Uint8Array<ArrayBuffer> | undefined {
    const now = this.#deps.now();
    const kept = this.#texts.get(mode);
    if (kept !== undefined && now < kept.until) return kept.bytes;
    const text = this.#textOf(mode);
    if (text === undefined) return undefined;
    const bytes = Buffer.from(text);
    this.#texts.set(mode, { bytes, until: now + TEXT_SECONDS });
    return bytes;
  }

  #textOf(mode: string): string | undefined {
    const { counters, store, now, version, heard } = this.#deps;
    const figures = (): Figures => gatherFigures(counters, store.memory, now(), heard?.());
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
      case "origins":
        return modes.originsText(this.origins(ORIGINS_MAX), ORIGINS_MAX);
      case "version":
        return `${version}\n`;
      case "everything":
        return modes.everythingText(figures(), this.#tallies.renewed(), this.#trackerId, version);
      default:
        return undefined;
    }
  }

  /** The hosts and paths of announces. */
  hostsText(): string {
    const hosts = this.#hosts;
    return modes.hostsText(hosts.hosts(NAMES_MAX), hosts.paths(NAMES_MAX), NAMES_MAX);
  }

  /** The info hashes of the largest swarms, in hexadecimal, at most CACHE_SECONDS old. */
  async largestSwarms(): Promise<readonly string[]> {
    return (await this.#ranking.get()).largest;
  }

  async #writeRanking(): Promise<Ranked> {
    const ranking = await rankSwarms(this.#deps.store, NAMES_MAX);
    return {
      top10: modes.rankingText(ranking, 10),
      top100: modes.rankingText(ranking, 100),
      largest: ranking.peers.map(({ infoHash }) => infoHash),
    };
  }

  async #writeNetworks(): Promise<string> {
    const { ipv4By28, ipv4By24, ipv6By48 } = await countNetworks(this.#deps.store, NETWORKS_MAX);
    return (
      modes.networksText(28, ipv4By28) +
      modes.networksText(24, ipv4By24) +
      modes.networksText(48, ipv6By48)
    );
  }

  // Everything.

  #export(exchange: Exchange, client: Client, kind: string, format: Format): number | Response {
    if (!this.mayFullScrape(client)) return this.#forbid(exchange, "TRACKER_FULLSCRAPE_NETWORKS");
    const { head } = exchange;
    const headers = exportHeaders(format, head.get("accept-encoding"));
    if (head.hasMethod("HEAD")) return new Response(null, { headers });
    if (this.#exports >= EXPORTS_MAX) return this.#postpone(exchange, EXPORTS_RETRY_SECONDS);
    const { address, family } = client;
    const wait = this.#cooldown.request(kind, address, family, this.#deps.now());
    if (wait > 0) return this.#postpone(exchange, wait);
    const { counters, store, now } = this.#deps;
    counters.row[COUNT.httpFullScrapes] += 1;
    this.#exports += 1;
    const { swarms } = gatherFigures(counters, store.memory, now());
    const plain = openExport(this.#deps.store, format, swarms, STALL_SECONDS, {
      made: (bytes) => {
        counters.row[COUNT.httpFullScrapeBytes] += bytes;
      },
      over: () => {
        this.#exports -= 1;
      },
    });
    return new Response(compressed(plain, headers["Content-Encoding"]), { headers });
  }

  #refuse(exchange: Exchange, why: string): number {
    this.#deps.counters.row[COUNT["http:query"]] += 1;
    exchange.form = BAD_REQUEST;
    return answerBytes(exchange, Buffer.from(`${why}\n`));
  }

  #forbid(exchange: Exchange, setting: string): number {
    this.#deps.counters.row[COUNT["http:forbidden"]] += 1;
    exchange.status = 403;
    return answerBytes(exchange, FORBIDDEN[setting]);
  }

  #postpone(exchange: Exchange, seconds: number): number {
    this.#deps.counters.row[COUNT["http:too_many"]] += 1;
    const lines = `429 Too Many Requests\r\nContent-Type: text/plain\r\nRetry-After: ${seconds}`;
    exchange.form = answerForm(lines);
    return answerBytes(
      exchange,
      Buffer.from(`too many requests: try again in ${counted(seconds, "second")}\n`),
    );
  }
}

const TEXT = { "Content-Type": "text/plain" };
const GOOD = answerForm("200 OK\r\nContent-Type: text/plain");
const BAD_REQUEST = answerForm("400 Bad Request\r\nContent-Type: text/plain");

/** The answer to clients of other networks, by the setting that names the allowed ones. */
const FORBIDDEN: Record<string, Buffer> = {};
for (const setting of ["TRACKER_STATS_NETWORKS", "TRACKER_FULLSCRAPE_NETWORKS"]) {
  const text = `your network may not see this: the operator can allow it with ${setting}\n`;
  FORBIDDEN[setting] = Buffer.from(text);
}

/** Modes that need only the figures. */
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
  "origins",
  "version",
  "tpbs",
  "statedump",
];

function plainText(text: string): Response {
  return new Response(text, { headers: TEXT });
}

function exportHeaders(format: Format, accepted: string): Record<string, string> {
  const encoding = chooseEncoding(accepted);
  const type = BINARY.includes(format) ? "application/octet-stream" : "text/plain";
  const headers: Record<string, string> = {
    "Content-Type": type,
    Vary: "Accept-Encoding",
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
