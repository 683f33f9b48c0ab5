/**
 * Origins: which pages may connect, and how many connections those of one origin have.
 *
 *   Origin: https://video.example.org   ─► allowed? denied? ─► count of this origin
 *
 * A browser sends the origin of the page, and no page can change it; other programs send any, or
 * none, which is the origin `none`. So the lists keep out the sites of others, and the limit keeps
 * one site from taking all connections; neither keeps out an attacker.
 */

/** What a client without an origin has. */
const ORIGIN_NONE = "none";

/** Longer ones are cut: they are kept for as long as their connections. */
const ORIGIN_SIZE_MAX = 256;

/** What a star stands for in the list of allowed origins. */
const ONE_LABEL = /^[^.:/]+$/;
/** The same in the list of denied ones: a site may make names of any depth. */
const ANY_LABELS = /^[^:/]+$/;

const LAST_DOT = /\.(?=$|:\d+$)/;

/** An origin with its number of connections. */
export interface OriginCount {
  origin: string;
  connections: number;
}

export interface OriginSettings {
  /** If it is empty, all are allowed. */
  allowed: readonly string[];
  denied: readonly string[];
  /** Connections of one origin. */
  connectionsMax: number;
}

export class Origins {
  readonly #settings: OriginSettings;
  readonly #counts = new Map<string, OriginCount>();

  constructor(settings: OriginSettings) {
    this.#settings = settings;
  }

  /** Origins with open connections. */
  get size(): number {
    return this.#counts.size;
  }

  /** True if pages of the origin may connect. */
  allows(origin: string): boolean {
    const { allowed, denied } = this.#settings;
    if (denied.some((pattern) => matches(origin, pattern, ANY_LABELS))) return false;
    return allowed.length === 0 || allowed.some((pattern) => matches(origin, pattern, ONE_LABEL));
  }

  /** True if the origin may have one more connection. */
  hasRoom(origin: string): boolean {
    return (this.#counts.get(origin)?.connections ?? 0) < this.#settings.connectionsMax;
  }

  /**
   * Call when a connection opens. Returns the same text, to be kept: that of the request is a part
   * of its head, all of which it would keep, 490 bytes of each connection.
   */
  add(origin: string): string {
    let count = this.#counts.get(origin);
    if (count === undefined) {
      count = { origin: Buffer.from(origin, "latin1").toString("latin1"), connections: 0 };
      this.#counts.set(count.origin, count);
    }
    count.connections += 1;
    return count.origin;
  }

  /** Call when it has closed. */
  remove(origin: string): void {
    const count = this.#counts.get(origin)!;
    count.connections -= 1;
    if (count.connections === 0) this.#counts.delete(origin);
  }

  /** The origins with the most connections, at most `most` of them. */
  largest(most: number): OriginCount[] {
    const all = [...this.#counts.values()].sort((a, b) => b.connections - a.connections);
    return all.slice(0, most).map((count) => ({ ...count }));
  }
}

/**
 * The origin in the field of that name, as it is compared and counted: without the dot that a page
 * may have at the end of its host, which is the same host.
 */
export function originOf(field: string): string {
  if (field === "") return ORIGIN_NONE;
  return field.slice(0, ORIGIN_SIZE_MAX).toLowerCase().replace(LAST_DOT, "");
}

/** A star stands for labels at the beginning of the host: `https://*.example.org`. */
function matches(origin: string, pattern: string, labels: RegExp): boolean {
  const star = pattern.indexOf("*");
  if (star < 0) return origin === pattern;
  const rest = pattern.slice(star + 1);
  if (!origin.startsWith(pattern.slice(0, star)) || !origin.endsWith(rest)) return false;
  return labels.test(origin.slice(star, origin.length - rest.length));
}
