/**
 * Parses the text of an environment variable: one reader for each kind of setting.
 *
 * A reader is a zod schema from the text as typed to the value as used. A problem is returned as
 * the rest of a sentence that begins `TRACKER_X is "…", `, and says what to write. Some readers
 * accept an empty text; for the others, an empty variable is not set (`config.ts`). This file does
 * not know the settings.
 *
 *   kind        reads                             gives
 *   seconds     90, 90s, 30m, 24h, 7d             seconds
 *   bytes       1232, 64KiB, 8MiB, 1GiB           bytes
 *   count       50                                a whole number
 *   choice      one of a few words                that word
 *   yesOrNo     yes, no, true, false, on, off     boolean
 *   listeners   [::]:6969, 127.0.0.1:6969         addresses and ports; none if empty
 *   webListeners  …, https://[::]:443         the same, and which of http and https
 *   name        /etc/file, nobody             the text itself
 *   networks    10.0.0.0/8, ::1                   the same texts; none if empty
 *   externals   203.0.113.1, 2001:db8::1          one address of each family; none if empty
 *   peerIdPrefixes  -XL, M%00                     the same texts; none if empty
 *   hostNames   tracker.example, [2001:db8::1]    the same in lower case and ASCII; all if empty
 *   hostName    tracker.example, [2001:db8::1]    the same in lower case and ASCII
 *   webUrl      https://example.org/              the same text in ASCII
 *   message(99) any ASCII on one line             the text itself
 *   headerName  X-Forwarded-For                   the name in lower case
 *   secret      anything long enough              the text itself
 */
import * as z from "zod/mini";

import { readPeerIdPrefix } from "../net/denied-clients.ts";
import { PORT_MAX } from "../constants.ts";
import { isIPv4, isIPv6, isPrivate, isUnusableSource } from "../net/addresses.ts";
import { readAddress, readNetwork, writeAddress } from "../net/addresses.ts";

/** An address to listen on. `host` is an IP literal without brackets, perhaps with `%eth0`. */
export interface Listener {
  host: string;
  port: number;
}

/** An address to answer HTTP on. */
export interface WebListener extends Listener {
  /** True for https://, false for http://; undefined without a scheme. */
  tls: boolean | undefined;
}

/** Link-local addresses, which need the name of an interface. [RFC 4291 2.5.6] */
const LINK_LOCAL = /^fe[89ab][0-9a-f]:/i;

/** A reader, and its range in words ("1s to 24h"), or "" if it needs no words. */
export interface Kind<Value> {
  schema: z.ZodMiniType<Value, string>;
  range: string;
}

/** The longest DNS name, without the last dot; a label has 63 characters. [RFC 1035 2.3.4] */
const HOST_NAME_CHARACTERS_MAX = 253;
const SECONDS_PER_UNIT = { s: 1, m: 60, h: 3600, d: 86400 };
const BYTES_PER_UNIT = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** The shortest secret: 16 hexadecimal characters are 64 bits. */
const SECRET_LENGTH_MIN = 16;
/** The shortest secret that resists offline guessing: 32 hexadecimal characters are 128 bits. */
export const KEY_LENGTH_MIN = 32;

/** A time from `min` to `max`, in seconds. */
export function seconds(min: number, max: number): Kind<number> {
  const read = (text: string) => readAmount(text, SECONDS_PER_UNIT);
  const wanted = "a time: write seconds, or 90s, 30m, 24h";
  return amount(read, wanted, min, max, showSeconds);
}

/** A size from `min` to `max`, in bytes. */
export function bytes(min: number, max: number): Kind<number> {
  const read = (text: string) => readAmount(text, BYTES_PER_UNIT);
  return amount(read, "a size: write bytes, or 64KiB, 8MiB, 1GiB", min, max, showBytes);
}

/** A whole number from `min` to `max`. */
export function count(min: number, max: number): Kind<number> {
  return amount(
    (text) => readAmount(text, {}),
    "a whole number: write digits only",
    min,
    max,
    String,
  );
}

/** One of a few words, exactly as given. */
export function choice<Word extends string>(words: readonly Word[]): Kind<Word> {
  const range = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  const schema = reader((text, complain) => {
    const word = words.find((candidate) => candidate === text.trim());
    return word ?? complain(`which is not a choice: write ${range}`);
  });
  return { schema, range };
}

/** Yes or no, in several common words. */
export function yesOrNo(): Kind<boolean> {
  const words = z.stringbool();
  const schema = reader((text, complain) => {
    const word = words.safeParse(text.trim());
    return word.success ? word.data : complain("which is neither yes nor no: write yes or no");
  });
  return { schema, range: "yes or no" };
}

/** Addresses to listen on, separated by commas; an empty text is an empty list. */
export function listeners(): Kind<Listener[]> {
  return { schema: list("listener", readListener), range: "" };
}

/** Addresses to listen on for HTTP; each may have `http://` or `https://` before it. */
export function webListeners(): Kind<WebListener[]> {
  return { schema: list("listener", readWebListener), range: "" };
}

/** The path of a file or the name of a user: any text that is not empty. */
export function name(): Kind<string> {
  const schema = trimmed().check(z.minLength(1, "which is empty: leave it out instead"));
  return { schema, range: "" };
}

/** Networks or single addresses, as `readNetwork` accepts them; an empty text is an empty list. */
export function networks(): Kind<string[]> {
  return { schema: list("network", readNetworkText), range: "" };
}

/** Public addresses in their shortest form, one of each family at most; none if empty. */
export function externals(): Kind<string[]> {
  const schema = z.pipe(
    list("address", readExternal),
    z.transform((addresses: string[], { issues }) => {
      const families = addresses.map((address) => isIPv6(address));
      if (new Set(families).size === families.length) return addresses;
      const message = "which has two addresses of one family: keep one";
      issues.push({ code: "custom", message, input: addresses });
      return z.NEVER;
    }),
  );
  return { schema, range: "" };
}

/** Beginnings of peer ids, as `readPeerIdPrefix` accepts them; an empty text is an empty list. */
export function peerIdPrefixes(): Kind<string[]> {
  return { schema: list("beginning of a peer id", readPrefix), range: "" };
}

/** Host names as in URLs, in lower case and without ports; an empty text means every host. */
export function hostNames(): Kind<string[]> {
  return { schema: list("host name", readHostName), range: "" };
}

/** A host name as the settings have it, or the problem with it as the rest of a sentence. */
export function parseHostName(text: string): { host: string } | { problem: string } {
  const host = readHostName(text);
  return host instanceof Fault ? { problem: host.rest } : { host };
}

/** Origins of pages, in lower case, or `none`; a star may stand for the first labels. */
export function origins(): Kind<string[]> {
  return { schema: list("origin", readOrigin), range: "" };
}

/** One host name. */
export function hostName(): Kind<string> {
  const schema = reader((text, complain) => {
    const host = readHostName(text.trim());
    return host instanceof Fault ? complain(`which ${host.rest}`) : host;
  });
  return { schema, range: "" };
}

/** The `xn--` form of a name with letters beyond ASCII; the name itself if it has none. */
function asciiOf(name: string): string {
  const url = `http://${name}/`;
  return URL.canParse(url) ? new URL(url).hostname : name;
}

/** The URL of a web page, in ASCII as a Location header has it. */
export function webUrl(): Kind<string> {
  const form = /^https?:\/\/[!-~]+$/;
  const beyondAscii = /[^\0-\x7f]/;
  const wrong = "which is not a web page: write a URL such as https://example.org/";
  const schema = reader((typed, complain) => {
    const text = typed.trim();
    const url = beyondAscii.test(text) && URL.canParse(text) ? new URL(text).href : text;
    return form.test(url) && URL.canParse(url) ? url : complain(wrong);
  });
  return { schema, range: "" };
}

/** A text for people: printable ASCII characters on one line. */
export function message(lengthMax: number): Kind<string> {
  const schema = trimmed().check(
    z.regex(/^[^\0-\x1f\x7f]*$/, "which has a line end or the like in it: write it on one line"),
    z.regex(/^[\0-\x7f]*$/, "which has more than plain ASCII in it: write it without accents"),
    z.maxLength(lengthMax, `which is too long: write at most ${lengthMax} characters`),
  );
  return { schema, range: `at most ${lengthMax} characters` };
}

/** The name of an HTTP header, in lower case. [RFC 9110 §5.1] */
export function headerName(): Kind<string> {
  const schema = trimmed().check(
    z.toLowerCase(),
    z.regex(/^[a-z0-9!#$%&'*+.^_`|~-]+$/, "which is not the name of a header: try x-forwarded-for"),
  );
  return { schema, range: "" };
}

/** A secret, without white space around it, such as a line end from an editor. */
export function secret(lengthMin = SECRET_LENGTH_MIN): Kind<string> {
  const remedy = `use at least ${lengthMin} characters, such as those of openssl rand -hex 32`;
  const schema = trimmed().check(z.minLength(lengthMin, `which is too short: ${remedy}`));
  return { schema, range: `at least ${lengthMin} characters` };
}

/** Seconds in the largest unit without a remainder, hours at most: `30m`, `24h`. */
export function showSeconds(value: number): string {
  const { s, m, h } = SECONDS_PER_UNIT;
  return showAmount(value, { s, m, h }, "s");
}

/** Bytes in the largest unit without a remainder: `8MiB`. */
export function showBytes(value: number): string {
  return showAmount(value, BYTES_PER_UNIT, "");
}

/** An address and a port as people write them: IPv6 in brackets. */
export function showListener({ host, port }: Listener): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** An address for HTTP, with its scheme if it has one. */
export function showWebListener(listener: WebListener): string {
  const scheme = listener.tls === undefined ? "" : listener.tls ? "https://" : "http://";
  return scheme + showListener(listener);
}

/** A text as it was typed, in quotes, on one line and shortened. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** A kind that is a number in some unit, between two bounds. */
function amount(
  read: (text: string) => number | undefined,
  wanted: string,
  min: number,
  max: number,
  show: (value: number) => string,
): Kind<number> {
  const range = `${show(min)} to ${show(max)}`;
  const schema = reader((text, complain) => {
    const value = read(text.trim());
    if (value === undefined) return complain(`which is not ${wanted}`);
    if (value >= min && value <= max) return value;
    return complain(`which is out of range: choose ${range}`);
  });
  return { schema, range };
}

/** A schema that reads a text. What `read` complains of become issues, and its result is unused. */
export function reader<Value>(read: (text: string, complain: (problem: string) => never) => Value) {
  const transform = z.transform((text: string, { issues }) =>
    read(text, (message) => {
      issues.push({ code: "custom", message, input: text });
      return z.NEVER;
    }),
  );
  return transform;
}

/** A text without the white space around it. */
function trimmed() {
  return z.string().check(z.trim());
}

/** Parses digits and at most one unit; undefined for other texts. */
function readAmount(text: string, units: Record<string, number>): number | undefined {
  const match = /^(\d+)([A-Za-z]*)$/.exec(text);
  if (match === null) return undefined;
  const [, digits, unit] = match;
  if (unit === "") return Number(digits);
  return Object.hasOwn(units, unit) ? Number(digits) * units[unit] : undefined;
}

function showAmount(value: number, units: Record<string, number>, smallest: string): string {
  const fitting = Object.entries(units).filter(([, size]) => value >= size && value % size === 0);
  const [unit, size] = fitting.at(-1) ?? [smallest, 1];
  return `${value / size}${unit}`;
}

/** The problem with one item of a list: the rest of a sentence, with what to write instead. */
export class Fault {
  readonly rest: string;

  constructor(rest: string) {
    this.rest = rest;
  }
}

/**
 * A kind that is a list, separated by commas and without repeated items. `show` quotes a text for
 * messages, and may hide a part of it.
 */
export function list<Item>(noun: string, read: (text: string) => Item | Fault, show = quote) {
  return reader((text, complain) => {
    const parts = text.split(",").map((part) => part.trim());
    if (parts.length === 1 && parts[0] === "") return [];
    const items: Item[] = [];
    const told = new Set<string>();
    for (const [at, part] of parts.entries()) {
      const item = wrongSeparator(part, noun, show) ?? read(part);
      const which = parts.length === 1 ? "which" : `where ${show(part)}`;
      if (item instanceof Fault) told.add(`${which} ${item.rest}`);
      else if (parts.indexOf(part) !== at) told.add(`${which} is repeated: once will do`);
      else items.push(item);
    }
    // Each sentence once, whatever the number of places where it is true.
    for (const problem of told) complain(problem);
    return items;
  });
}

/** The fault of a part that is empty, or that is several without commas between them. */
function wrongSeparator(part: string, noun: string, show: typeof quote): Fault | undefined {
  if (part === "") return new Fault(`is no ${noun}: remove a comma`);
  const mark = /[\s;]/.exec(part)?.[0];
  if (mark === undefined) return undefined;
  const named = mark === ";" ? "a semicolon" : "a blank";
  const pieces = part.split(/[\s;]+/).filter((piece) => piece !== "");
  const where = pieces.length > 1 ? "where a comma belongs" : "too many";
  return new Fault(`has ${named} ${where}: write ${show(pieces.join(","))}`);
}

/** One `host:port`. */
function readListener(text: string): Listener | Fault {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  if (match === null) {
    const colons = text.split(":").length - 1;
    const bare = colons > 1 && !text.includes("[") ? "IPv6 goes in brackets" : "it needs a port";
    const why = text.includes("://") ? "it begins with a scheme" : bare;
    return new Fault(`is not host:port, ${why}: write [::]:6969 or 0.0.0.0:6969`);
  }
  const [, bracketed, plain, digits] = match;
  const port = Number(digits);
  if (port > PORT_MAX) return new Fault(`has port ${port}: ports end at ${PORT_MAX}`);
  if (bracketed !== undefined) {
    if (LINK_LOCAL.test(bracketed) && isIPv6(bracketed) && !bracketed.includes("%")) {
      const form = `[${bracketed}%eth0]:${port}`;
      return new Fault(`is link-local and must name its interface: write ${form} or the like`);
    }
    if (isIPv6(bracketed)) return { host: bracketed, port };
    return new Fault(`has no IPv6 address in its brackets: write [::]:${port}`);
  }
  if (plain === "*") return { host: "::", port };
  if (plain === "localhost") return { host: "127.0.0.1", port };
  if (isIPv4(plain)) return { host: plain, port };
  return new Fault(
    `has no IP address before the port: write *:${port}, localhost:${port} or [::]:${port}`,
  );
}

/** One `host:port`, `http://host:port` or `https://host:port`. */
function readWebListener(text: string): WebListener | Fault {
  const match = /^(https?):\/\/([^/]*)\/?$/i.exec(text);
  const listener = readListener(match === null ? text : match[2]);
  if (listener instanceof Fault) return listener;
  return { ...listener, tls: match === null ? undefined : match[1].toLowerCase() === "https" };
}

/** One network or address, as it was typed. */
function readNetworkText(text: string): string | Fault {
  if (readNetwork(text, new Uint8Array(16), new Uint8Array(16)) !== 0) return text;
  return new Fault("is not a network: write 10.0.0.0/8, 2001:db8::/32 or a single address");
}

/** One address that clients in the Internet can reach, in its shortest form. */
function readExternal(text: string): string | Fault {
  const bytes = new Uint8Array(16);
  const family = readAddress(text, bytes, 0);
  if (family === 0) return new Fault("is not an address: write one without port and network");
  if (isPrivate(bytes, 0, family) || isUnusableSource(bytes, 0, family)) {
    return new Fault("is not a public address: write the one that clients outside reach");
  }
  return writeAddress(bytes, 0, family);
}

/** The beginning of a peer id, as it was typed. */
function readPrefix(text: string): string | Fault {
  if (readPeerIdPrefix(text) !== undefined) return text;
  if (text.includes("*")) {
    return new Fault("has a star, but any ending matches: leave it out, or write %2A");
  }
  return new Fault("is not the beginning of a peer id: write 1 to 20 characters, others as %00");
}

/**
 * A host name or an address in its URL form, in lower case. Letters beyond ASCII get the `xn--`
 * form that requests have. [RFC 5891]
 */
function readHostName(text: string): string | Fault {
  // A URL has more parts than a name, so all other characters must be those of a name.
  const rest = text.replace(/[^\0-\x7f]/g, "");
  const ascii = rest !== text && /^[\w.-]*$/.test(rest) ? asciiOf(text) : text;
  const host = ascii.toLowerCase().replace(/\.$/, "");
  const form = /^([a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*|\[[0-9a-f:.]+\])$/;
  if (host.length <= HOST_NAME_CHARACTERS_MAX && form.test(host)) return host;
  return new Fault(
    "is not a host name: write it without scheme and port, like tracker.example.org",
  );
}

/** One origin: scheme, host and port as browsers send them. [RFC 6454 6.2] */
function readOrigin(text: string): string | Fault {
  const origin = text.toLowerCase();
  if (origin === "none" || origin === "null") return origin;
  const [, scheme, star = "", host = "", port = ""] =
    /^([a-z][a-z0-9+.-]*):\/\/(\*\.)?([^/:]*|\[[^\]]*\])(:\d{1,5})?$/.exec(origin) ?? [];
  if (scheme === undefined) {
    return new Fault("is not an origin, a scheme with a host: write https://example.org");
  }
  const name = readHostName(host);
  return name instanceof Fault ? name : `${scheme}://${star}${name}${port}`;
}
