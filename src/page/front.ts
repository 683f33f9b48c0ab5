/**
 * The page at / and its feed at /live: how the tracker is, for everybody, and the announce URLs.
 *
 * One page that needs nothing from elsewhere, and that nothing from elsewhere may get into: the
 * policy it is sent with allows its own style and script by their hashes, and its own feed. What
 * comes from the request, the name of the host, is escaped, and ignored if it is no name.
 */
import type { Listener, WebListener } from "../settings.ts";
import type { Live } from "./live.ts";
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

const COMMON_HEADERS = {
  "Cache-Control": "no-store",
  "Referrer-Policy": "no-referrer",
};
const PAGE_HEADERS = new Headers({
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": POLICY,
  ...COMMON_HEADERS,
});
const FEED_HEADERS = new Headers({ "Content-Type": "application/json", ...COMMON_HEADERS });

export class Front {
  readonly #live: Live;
  readonly #settings: FrontSettings;
  #feed = "";
  #view: View | undefined;
  /** What feed and view were made of. */
  #figures: unknown;

  constructor(live: Live, settings: FrontSettings) {
    this.#live = live;
    this.#settings = settings;
  }

  /**
   * The page; `host` is the Host header of the request, null if there is none, and `scheme` what
   * the reader spoke to a proxy that is trusted, undefined if there is none.
   */
  answerPage(host: string | null, scheme?: "http" | "https"): Response {
    this.#refresh();
    const { version, startedSeconds, drops } = this.#live.figures();
    const { publicName } = this.#settings;
    const name = publicName ?? nameIn(host);
    const proxy = scheme === undefined ? undefined : { scheme, port: portIn(host) };
    const urls = announceUrls(this.#settings, name, proxy);
    const page = { name, urls, version, startedSeconds };
    return new Response(pageOf({ ...page, drops: drops !== null }, this.#view!), {
      headers: PAGE_HEADERS,
    });
  }

  /** The figures as JSON: numbers, and what the page shows of them. */
  answerFeed(): Response {
    this.#refresh();
    return new Response(this.#feed, { headers: FEED_HEADERS });
  }

  #refresh(): void {
    const figures = this.#live.figures();
    if (figures === this.#figures) return;
    this.#figures = figures;
    this.#view = viewOf(figures);
    this.#feed = JSON.stringify({ ...figures, view: this.#view });
  }
}

/** The name in a Host header, without its port; undefined if there is none that could be one. */
export function nameIn(host: string | null): string | undefined {
  if (host === null || host.length > HOST_SIZE_MAX) return undefined;
  return HOST.exec(host)?.[1].replace(/\.$/, "").toLowerCase();
}

/** The port in such a header; undefined if it goes without saying. */
function portIn(host: string | null): number | undefined {
  const port = host === null ? undefined : HOST.exec(host)?.[2];
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

/** What the page says besides the figures. */
interface PageFacts {
  name: string | undefined;
  urls: string[];
  version: string;
  startedSeconds: number;
  /** Whether the system tells of dropped datagrams. */
  drops: boolean;
}

function pageOf(facts: PageFacts, view: View): string {
  const heading = escapeHtml(facts.name ?? "BitTorrent tracker");
  const title = facts.name === undefined ? heading : `${heading} – BitTorrent tracker`;
  const started = new Date(facts.startedSeconds * 1000);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<noscript><meta http-equiv="refresh" content="30"></noscript>
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body${view.dropping ? ' class="dropping"' : ""}>
<main>
<header>
<h1>${heading}${facts.name === undefined ? "" : " <small>BitTorrent tracker</small>"}</h1>
<p class="up">Up for <b>${place(view, "up")}</b>, since \
<time datetime="${started.toISOString()}">${showTime(started)}</time></p>
</header>
${urlsOf(facts.urls)}${rateOf(view)}
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
${facts.drops ? dropsOf(view) : ""}</main>
<footer>${escapeHtml(facts.version)}</footer>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

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
