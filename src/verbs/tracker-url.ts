/**
 * Announce URLs as an operator writes them: what is wrong with one, and the addresses of its host.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

import type { HttpQuestion } from "./http-client.ts";

/** The timeout of name resolution. */
const LOOKUP_MILLISECONDS_MAX = 20_000;
/** The most addresses of a host that are tested: a name may have thousands. */
export const ADDRESSES_MAX = 16;

const PORTS: Record<string, number> = { "http:": 80, "https:": 443, "ws:": 80, "wss:": 443 };
const SCHEMES = ["udp:", ...Object.keys(PORTS)];
/** Those with TLS. */
const SECURE = ["https:", "wss:"];

const PORT_RANGE = "its port is not from 1 to 65535";

/** The URL, or a sentence on what is wrong with it. */
export function readTrackerUrl(text: string): URL | string {
  if (!URL.canParse(text)) return wrongWithText(text);
  const url = new URL(text);
  return wrongWith(url) ?? url;
}

/** If a text is not a URL, a wrong port is the likeliest mistake. */
function wrongWithText(text: string): string {
  return /^\w+:\/\/[^/?#]*:\d+([/?#]|$)/.test(text) ? PORT_RANGE : "it is not a URL";
}

function wrongWith({ protocol, port, hostname }: URL): string | undefined {
  if (!SCHEMES.includes(protocol)) return "it is not udp, http, https, ws or wss";
  if (hostname === "") return "it names no host";
  if (port === "0") return PORT_RANGE;
  return protocol === "udp:" && port === "" ? "it names no port" : undefined;
}

/** The host without brackets, in ASCII: of udp:// the parser of URLs only escapes other letters. */
export function hostOf({ hostname }: URL): string {
  const likeHttp = `http://${hostname}/`;
  const ascii = URL.canParse(likeHttp) ? new URL(likeHttp).hostname : hostname;
  return ascii.replace(/^\[|\]$/g, "");
}

/** All addresses of a host; none if it has none, or the name servers do not answer in time. */
export async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) > 0) return [host];
  const found = lookup(host, { all: true }).catch(() => []);
  const { promise: late, resolve } = Promise.withResolvers<Awaited<typeof found>>();
  const timer = setTimeout(() => resolve([]), LOOKUP_MILLISECONDS_MAX);
  const answers = await Promise.race([found, late]);
  clearTimeout(timer);
  return [...new Set(answers.map(({ address }) => address))];
}

/** Where the server of the URL is, for HTTP and WebSocket. */
export function serverOf(
  url: URL,
  address: string,
): Required<Pick<HttpQuestion, "address" | "port" | "host">> & {
  tls: { name: string } | undefined;
} {
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const tls = SECURE.includes(url.protocol) ? { name } : undefined;
  return { address, port: Number(url.port || PORTS[url.protocol]), tls, host: url.host };
}
