/**
 * The page at / and its feed at /live: how the tracker is, for everybody, and the announce URLs.
 *
 * One page that needs nothing from elsewhere, and that nothing from elsewhere may get into: the
 * policy it is sent with allows its own style and script by their hashes, and its own feed. What
 * comes from the request, the name of the host, is escaped, and ignored if it is no name.
 *
 * Both are made once a second at most, and kept as bytes, because a request for them is 27 bytes
 * long and making the page takes 60 µs (Bun 1.4.5, 2026-11):
 *
 *   kept   top ┃       ┃ head ┃         ┃ since when ┃      ┃ figures, script
 *   said       ┃ title ┃      ┃ heading ┃            ┃ URLs ┃                   of the name asked
 */
import type { Listener, WebListener } from "../config/settings.ts";
import type { Live, LiveFigures } from "./live.ts";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";
import { CURVE_HEIGHT, CURVE_WIDTH, type View, viewOf } from "./view.ts";

/** What the page must know of the settings. */
export interface FrontSettings {
  /** Under which name the tracker is reached; the name in the request if there is none. */
  publicName: string | undefined;
  udpListeners: readonly Listener[];
  httpListeners: readonly WebListener[];
  /** Whether an address without a scheme speaks HTTPS. */
  tls: boolean;
}

const PORTS: Record<string, number> = { http: 80, https: 443, udp: 0 };

/** A Host header: a name or an address in brackets, and perhaps a port. */
const HOST = /^([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/i;
const HOST_SIZE_MAX = 255 + 6;
const LOOPBACK = /^(127\.|::1$)/;
const LOOPBACK_NAME = /^(127\.|localhost$|\[::1\]$)/i;

const sha256 = (text: string): string =>
  new Bun.CryptoHasher("sha256").update(text).digest("base64");

const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${sha256(STYLE)}'`,
  `script-src 'sha256-${sha256(SCRIPT)}'`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The fields that page and feed are sent with, as they are written. */
const COMMON_FIELDS = `Cache-Control: no-store\r
Referrer-Policy: no-referrer`;
export const PAGE_FIELDS = `Content-Type: text/html; charset=utf-8\r
Content-Security-Policy: ${POLICY}\r
${COMMON_FIELDS}`;
export const FEED_FIELDS = `Content-Type: application/json\r\n${COMMON_FIELDS}`;

const FEED_HEADERS = FEED_FIELDS.split("\r\n").map(
  (field) => field.split(": ") as [string, string],
);

/** Page or feed without what the request decides: 14 KB with a whole curve. */
const KEPT_BYTES_MAX = 32 * 1024;
/** What one URL adds beside its host. */
const URL_BYTES_MAX = 64;

/** What stands around the parts that the request decides. */
interface KeptPage {
  top: Buffer;
  head: Buffer;
  since: Buffer;
  figures: Buffer;
}

/** What the request decides, and by what. */
interface Said {
  host: string;
  scheme: "http" | "https" | undefined;
  title: Buffer;
  heading: Buffer;
  urls: Buffer;
}

export class Front {
  /** Bytes of the longest page or feed. */
  readonly bytesMax: number;
  readonly #live: Live;
  readonly #settings: FrontSettings;
  /** What page and feed were made of. */
  #figures: unknown;
  #feed = Buffer.alloc(0);
  #page: KeptPage | undefined;
  #said: Said | undefined;

  constructor(live: Live, settings: FrontSettings) {
    this.#live = live;
    this.#settings = settings;
    const { publicName = "", udpListeners, httpListeners } = settings;
    const name = Math.max(HOST_SIZE_MAX, publicName.length);
    const texts = 3 + udpListeners.length + httpListeners.length;
    this.bytesMax = KEPT_BYTES_MAX + texts * (name + URL_BYTES_MAX);
  }

  /**
   * Writes the page; returns its size. `host` is the Host header, empty if there is none, and
   * `scheme` what the reader spoke to a proxy that is trusted, undefined if there is none.
   */
  writePage(out: Uint8Array, from: number, host: string, scheme?: "http" | "https"): number {
    this.#refresh();
    const { top, head, since, figures } = this.#page!;
    const { title, heading, urls } = this.#sayOf(host, scheme);
    let at = from;
    for (const part of [top, title, head, heading, since, urls, figures]) {
      out.set(part, at);
      at += part.length;
    }
    return at - from;
  }

  /** Writes the figures as JSON, numbers and what the page shows of them; returns the size. */
  writeFeed(out: Uint8Array, at: number): number {
    this.#refresh();
    out.set(this.#feed, at);
    return this.#feed.length;
  }

  /** The same for the operator. */
  feedResponse(): Response {
    this.#refresh();
    return new Response(this.#feed, { headers: FEED_HEADERS });
  }

  #refresh(): void {
    const figures = this.#live.figures();
    if (figures === this.#figures) return;
    this.#figures = figures;
    const view = viewOf(figures);
    this.#feed = Buffer.from(JSON.stringify({ ...figures, view }));
    this.#page = keptPage(figures, view);
  }

  #sayOf(host: string, scheme: "http" | "https" | undefined): Said {
    if (this.#said?.host === host && this.#said.scheme === scheme) return this.#said;
    const name = this.#settings.publicName ?? nameIn(host);
    const proxy = scheme === undefined ? undefined : { scheme, port: portIn(host) };
    const urls = announceUrls(this.#settings, name, proxy);
    const shown = escapeHtml(name ?? "BitTorrent tracker");
    const [title, heading] = name === undefined ? ["", ""] : [TITLE_REST, HEADING_REST];
    this.#said = {
      host,
      scheme,
      title: Buffer.from(shown + title),
      heading: Buffer.from(shown + heading),
      urls: Buffer.from(urlsOf(urls)),
    };
    return this.#said;
  }
}

/** The name in a Host header, without its port; undefined if there is none that could be one. */
export function nameIn(host: string): string | undefined {
  if (host.length > HOST_SIZE_MAX) return undefined;
  return HOST.exec(host)?.[1].replace(/\.$/, "").toLowerCase();
}

/** The port in such a header; undefined if it goes without saying. */
function portIn(host: string): number | undefined {
  const port = host.length > HOST_SIZE_MAX ? undefined : HOST.exec(host)?.[2];
  return port === undefined ? undefined : Number(port);
}

/** Where a reader reached us through a proxy. */
export interface ProxyEntrance {
  scheme: "http" | "https";
  /** Undefined if it is the usual one. */
  port: number | undefined;
}

/**
 * The URLs to announce to, under this name. A proxy that the request came through is the first of
 * those over HTTP. An address that only this machine reaches is left out, unless this machine asks.
 */
export function announceUrls(
  settings: FrontSettings,
  name: string | undefined,
  proxy?: ProxyEntrance,
): string[] {
  if (name === undefined) return [];
  const { udpListeners, httpListeners, tls } = settings;
  const seen = (listener: Listener) => !LOOPBACK.test(listener.host) || LOOPBACK_NAME.test(name);
  const urls = [
    ...udpListeners.filter(seen).map(({ port }) => urlOf("udp", name, port)),
    ...(proxy ? [urlOf(proxy.scheme, name, proxy.port ?? PORTS[proxy.scheme])] : []),
    ...httpListeners
      .filter(seen)
      .map((listener) => urlOf((listener.tls ?? tls) ? "https" : "http", name, listener.port)),
  ];
  return [...new Set(urls)];
}

function urlOf(scheme: string, name: string, port: number): string {
  return `${scheme}://${name}${port === PORTS[scheme] ? "" : `:${port}`}/announce`;
}

const TITLE_REST = " – BitTorrent tracker";
const HEADING_REST = " <small>BitTorrent tracker</small>";

function keptPage(figures: LiveFigures, view: View): KeptPage {
  const started = new Date(figures.startedSeconds * 1000);
  return {
    top: TOP,
    head: Buffer.from(`</title>
<style>${STYLE}</style>
</head>
<body${view.dropping ? ' class="dropping"' : ""}>
<main>
<header>
<h1>`),
    since: Buffer.from(`</h1>
<p class="up">Up for <b>${place(view, "up")}</b>, since \
<time datetime="${started.toISOString()}">${showTime(started)}</time></p>
</header>
`),
    figures: Buffer.from(`${rateOf(view)}
<dl class="tiles">
${tile(view, "Swarms", "swarms")}
${tile(view, "Peers", "peers")}
${tile(view, "Seeders", "seeders")}
${tile(view, "Leechers", "leechers")}
</dl>
<section class="shares">
${share(view, "Announces", "udp", ["UDP", "udp"], ["HTTP", "http"])}
${share(view, "Peers", "ipv4", ["IPv4", "ipv4"], ["IPv6", "ipv6"])}
${share(view, "Memory", "memory", ["used", "memory"], ["of", "memoryMax"])}
</section>
${figures.drops === null ? "" : dropsOf(view)}</main>
<footer>${escapeHtml(figures.version)}</footer>
<script>${SCRIPT}</script>
</body>
</html>
`),
  };
}

const TOP = Buffer.from(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<noscript><meta http-equiv="refresh" content="30"></noscript>
<title>`);

function urlsOf(urls: string[]): string {
  if (urls.length === 0) return "";
  const items = urls.map((url) => `<li><code>${breakable(escapeHtml(url))}</code></li>`).join("\n");
  return `<section class="card urls">
<h2>Announce ${urls.length === 1 ? "URL" : "URLs"}</h2>
<ul>
${items}
</ul>
</section>
`;
}

/** Where the URL does not fit the line, its path goes to the next. */
function breakable(url: string): string {
  return url.replace(/\/announce$/, "<wbr>/announce");
}

function rateOf(view: View): string {
  const grid = [0, CURVE_HEIGHT / 2, CURVE_HEIGHT]
    .map((y) => `<path class="grid" d="M0 ${y}H${CURVE_WIDTH}"/>`)
    .join("");
  return `<section class="card">
<p class="now"><b>${place(view, "rate")}</b> <span>announces per second</span></p>
<figure>
<svg class="curve" viewBox="0 0 ${CURVE_WIDTH} ${CURVE_HEIGHT}" preserveAspectRatio="none" \
role="img" aria-label="Announces per second over the last 24 hours">
<path class="area" data-path="area" d="${view.area}"/>
${grid}
<path class="line" data-path="line" d="${view.line}"/>
</svg>
<span class="tick top">${place(view, "top")}</span>
<span class="tick half">${place(view, "half")}</span>
<figcaption>${place(view, "span")}<span>now</span></figcaption>
</figure>
</section>`;
}

function tile(view: View, name: string, key: string): string {
  return `<div class="card"><dt>${name}</dt><dd>${place(view, key)}</dd></div>`;
}

type End = readonly [label: string, key: string];

function share(view: View, name: string, bar: string, left: End, right: End): string {
  const end = ([label, key]: End) => `<span>${label} <b>${place(view, key)}</b></span>`;
  return `<div class="card"><span class="name">${name}</span>
<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">\
<rect data-bar="${bar}" width="${view.bars[bar]}" height="1"/></svg>
<p class="ends">${end(left)}${end(right)}</p></div>`;
}

function dropsOf(view: View): string {
  return `<section class="card drops">
<span>Datagrams dropped by the kernel: <b>${place(view, "drops")}</b></span>
<span class="help">the receive buffer was full</span>
</section>
`;
}

function place(view: View, key: string): string {
  return `<span data-text="${key}">${escapeHtml(view.text[key])}</span>`;
}

/** `22 November 2026, 17:40 UTC` */
function showTime(date: Date): string {
  const day = date.toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" });
  return `${day}, ${date.toISOString().slice(11, 16)} UTC`;
}

function escapeHtml(text: string): string {
  return Bun.escapeHTML(text);
}
