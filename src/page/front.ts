/**
 * The page at / and its feed at /live: the state of the tracker and its announce URLs.
 *
 * The page loads nothing from other servers. Its Content-Security-Policy allows only its own style
 * and script, by their hashes, and its own feed. Only the host name comes from the request: it is
 * escaped, and ignored if it is not a valid name.
 *
 * Both are made once a second at most and kept as bytes, because a request for them has 27 bytes
 * and making the page takes 60 µs (Bun 1.4.5, 2026-11):
 *
 *   kept   top ┃       ┃ head ┃         ┃ since when ┃      ┃ figures, script
 *   named      ┃ title ┃      ┃ heading ┃            ┃ URLs ┃                   by the host name
 */
import type { Listener, WebListener } from "../config/settings.ts";
import type { Live, LiveFigures } from "./live.ts";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";
import { CURVE_HEIGHT, CURVE_WIDTH, type View, viewOf } from "./view.ts";

/** The settings of the page. */
export interface FrontSettings {
  /** The public name of the tracker; if undefined, the name in the request. */
  publicName: string | undefined;
  udpListeners: readonly Listener[];
  httpListeners: readonly WebListener[];
  /** Whether an address without a scheme speaks HTTPS. */
  tls: boolean;
  /** Whether browsers may announce at these addresses. */
  websocket: string;
}

const PORTS: Record<string, number> = { http: 80, https: 443, ws: 80, wss: 443, udp: 0 };

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

/** The header fields of page and feed, as bytes are sent. */
const COMMON_FIELDS = `Cache-Control: no-store\r
Referrer-Policy: no-referrer`;
export const PAGE_FIELDS = `Content-Type: text/html; charset=utf-8\r
Content-Security-Policy: ${POLICY}\r
${COMMON_FIELDS}`;
export const FEED_FIELDS = `Content-Type: application/json\r\n${COMMON_FIELDS}`;

const FEED_HEADERS = FEED_FIELDS.split("\r\n").map(
  (field) => field.split(": ") as [string, string],
);

/** Page or feed without the parts of the request: 14 KB with a full curve. */
const KEPT_BYTES_MAX = 32 * 1024;
/** Bytes of one URL in addition to its host. */
const URL_BYTES_MAX = 64;

/** The parts of the page that do not depend on the request. */
interface KeptPage {
  top: Buffer;
  head: Buffer;
  since: Buffer;
  figures: Buffer;
}

/** The parts that depend on the request, and the values that decide them. */
interface NamedParts {
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
  /** The figures in page and feed. */
  #figures: unknown;
  #feed = Buffer.alloc(0);
  #page: KeptPage | undefined;
  #named: NamedParts | undefined;

  constructor(live: Live, settings: FrontSettings) {
    this.#live = live;
    this.#settings = settings;
    const { publicName = "", udpListeners, httpListeners } = settings;
    const name = Math.max(HOST_SIZE_MAX, publicName.length);
    // Title, heading and a proxy's two URLs; each address of HTTP has one for browsers as well.
    const texts = 4 + udpListeners.length + 2 * httpListeners.length;
    this.bytesMax = KEPT_BYTES_MAX + texts * (name + URL_BYTES_MAX);
  }

  /**
   * Writes the page; returns its size. `host` is the Host header, empty if it is missing. `scheme`
   * is the scheme of the request to a trusted proxy, undefined without a proxy.
   */
  writePage(out: Uint8Array, from: number, host: string, scheme?: "http" | "https"): number {
    this.#refresh();
    const { top, head, since, figures } = this.#page!;
    const { title, heading, urls } = this.#namedParts(host, scheme);
    let at = from;
    for (const part of [top, title, head, heading, since, urls, figures]) {
      out.set(part, at);
      at += part.length;
    }
    return at - from;
  }

  /** Writes the figures as JSON, as numbers and as shown on the page; returns the size. */
  writeFeed(out: Uint8Array, at: number): number {
    this.#refresh();
    out.set(this.#feed, at);
    return this.#feed.length;
  }

  /** The feed for the operator's address. */
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

  #namedParts(host: string, scheme: "http" | "https" | undefined): NamedParts {
    if (this.#named?.host === host && this.#named.scheme === scheme) return this.#named;
    const name = this.#settings.publicName ?? nameIn(host);
    const proxy = scheme === undefined ? undefined : { scheme, port: portIn(host) };
    const urls = announceUrls(this.#settings, name, proxy);
    const shown = escapeHtml(name ?? "BitTorrent tracker");
    const [title, heading] = name === undefined ? ["", ""] : [TITLE_REST, HEADING_REST];
    this.#named = {
      host,
      scheme,
      title: Buffer.from(shown + title),
      heading: Buffer.from(shown + heading),
      urls: Buffer.from(urlsOf(urls)),
    };
    return this.#named;
  }
}

/** The name in a Host header, without its port; undefined if it is not valid. */
export function nameIn(host: string): string | undefined {
  if (host.length > HOST_SIZE_MAX) return undefined;
  return HOST.exec(host)?.[1].replace(/\.$/, "").toLowerCase();
}

/** The port in a Host header; undefined if it has no port. */
function portIn(host: string): number | undefined {
  const port = host.length > HOST_SIZE_MAX ? undefined : HOST.exec(host)?.[2];
  return port === undefined ? undefined : Number(port);
}

/** The scheme and port of the proxy that a request came through. */
export interface ProxyEntrance {
  scheme: "http" | "https";
  /** Undefined if it is the default port of the scheme. */
  port: number | undefined;
}

/**
 * The announce URLs under this name. The URL of the proxy of the request is the first one over
 * HTTP. Loopback addresses are left out, unless the name is a loopback name.
 */
export function announceUrls(
  settings: FrontSettings,
  name: string | undefined,
  proxy?: ProxyEntrance,
): string[] {
  if (name === undefined) return [];
  const { udpListeners, httpListeners, tls, websocket } = settings;
  const seen = (listener: Listener) => !LOOPBACK.test(listener.host) || LOOPBACK_NAME.test(name);
  const web = [
    ...(proxy ? [{ secure: proxy.scheme === "https", port: proxy.port }] : []),
    ...httpListeners
      .filter(seen)
      .map((listener) => ({ secure: listener.tls ?? tls, port: listener.port })),
  ];
  const webUrl = (plain: string, secured: string, { secure, port }: (typeof web)[number]) => {
    const scheme = secure ? secured : plain;
    return urlOf(scheme, name, port ?? PORTS[scheme]);
  };
  const urls = [
    ...udpListeners.filter(seen).map(({ port }) => urlOf("udp", name, port)),
    ...web.map((entrance) => webUrl("http", "https", entrance)),
    ...(websocket === "on" ? web.map((entrance) => webUrl("ws", "wss", entrance)) : []),
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
${share("Announces", bar(view, "udp", "webSocket"), [
  end(view, "UDP", "udp"),
  end(view, "HTTP", "http"),
  `<span class="web">${place(view, "webSocketShare")}</span>`,
])}
${share("Peers", bar(view, "ipv4"), [end(view, "IPv4", "ipv4"), end(view, "IPv6", "ipv6")])}
${share("Memory", bar(view, "memory"), [end(view, "used", "memory"), end(view, "of", "memoryMax")])}
</section>
${figures.drops === null ? "" : dropsOf(view)}${clusterOf(figures, view)}</main>
<footer>${keptOf(figures, view)}${escapeHtml(figures.version)}</footer>
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

/** If the URL does not fit on one line, it breaks before its path. */
function breakable(url: string): string {
  return url.replace(/\/announce$/, "<wbr>/announce");
}

function rateOf(view: View): string {
  const grid = [0, CURVE_HEIGHT / 2, CURVE_HEIGHT]
    .map((y) => `<path class="grid" d="M0 ${y}H${CURVE_WIDTH}"/>`)
    .join("");
  return `<section class="card">
<p class="now"><b>${place(view, "rate")}</b> <span>announces per second</span></p>
<p class="web">${place(view, "webSockets")}</p>
<figure>
<svg class="curve" viewBox="0 0 ${CURVE_WIDTH} ${CURVE_HEIGHT}" preserveAspectRatio="none" \
role="img" aria-label="Announces per second over the last 24 hours">
<path class="area" data-path="area" d="${view.area}"/>
${grid}
<path class="line" data-path="line" d="${view.line}"/>
<path class="line web" data-path="webSocketLine" d="${view.webSocketLine}"/>
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

function share(name: string, drawing: string, ends: string[]): string {
  return `<div class="card"><span class="name">${name}</span>
${drawing}
<p class="ends">${ends.join("")}</p></div>`;
}

/** A bar that grows from the left; `right` is another part of it, which grows from its end. */
function bar(view: View, left: string, right?: string): string {
  const part = (key: string, how: string) =>
    `<rect${how} data-bar="${key}" width="${view.bars[key]}" height="1"/>`;
  const other =
    right === undefined ? "" : part(right, ' class="web" transform="matrix(-1 0 0 1 100 0)"');
  return `<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">\
${part(left, "")}${other}</svg>`;
}

function end(view: View, label: string, key: string): string {
  return `<span>${label} <b>${place(view, key)}</b></span>`;
}

function dropsOf(view: View): string {
  return `<section class="card drops">
<span>Datagrams dropped by the kernel: <b>${place(view, "drops")}</b></span>
<span class="help">the receive buffer was full</span>
</section>
`;
}

function clusterOf({ cluster }: LiveFigures, view: View): string {
  return cluster === null ? "" : `<section class="card">${place(view, "cluster")}</section>\n`;
}

function keptOf(figures: LiveFigures, view: View): string {
  return figures.keptSecondsAgo === null ? "" : `Swarms kept, ${place(view, "kept")} · `;
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
