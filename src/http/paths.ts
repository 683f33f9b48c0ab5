/**
 * Which paths are announces and scrapes.
 *
 *   /announce  /KEY/announce.php  /announce/KEY   a part of the path has one of the names; of
 *   /scrape    /KEY/scrape.php    /scrape/KEY     several the last one counts
 *   /a?info_hash=…    /sc?info_hash=…             what else begins with these letters, as in
 *   /?info_hash=…                                 opentracker, but only with an info hash:
 *                                                 /admin.php and /scripts come from crawlers
 *
 * A page with an info hash is a mistake of the announce URL. Clients do not show a page, so they
 * get a sentence with the right path instead.
 *
 * Paths are read in place, percent-decoded, with repeated slashes read as one. Nothing here
 * allocates.
 */
import { byteAt, isText } from "./query.ts";

/** Neither of the others. */
export const PATH_OTHER = 0;
export const PATH_ANNOUNCE = 1;
export const PATH_SCRAPE = 2;
/** A page with an info hash. */
export const PATH_MISTAKEN = 3;

const PAGES = ["/stats", "/live", "/health", "/ready", "/favicon.ico"];

const INFO_HASH_KEY = "info_hash=";
/** What copying a URL from a page or a file may leave at its end. */
const BLANKS = ["%20", "%09", "%0a", "%0A", "%0d", "%0D"];

const SLASH = 47;
const PERCENT = 37;
const QUESTION = 63;
const HASH = 35;
const AMPERSAND = 38;
const SEMICOLON = 59;
const LOWER_A = 97;
const LOWER_C = 99;
const LOWER_S = 115;

/** What the path from `from` to `to` is, whose query lies between `queryAt` and `targetTo`. */
export function kindOfPath(
  text: string,
  from: number,
  to: number,
  queryAt: number,
  targetTo: number,
): number {
  // Nearly all requests end here, with the last part.
  for (let end = to; end > from;) {
    const part = text.lastIndexOf("/", end - 1) + 1;
    if (part <= from) break;
    if (isAnnounce(text, part, end)) return PATH_ANNOUNCE;
    if (isScrape(text, part, end)) return PATH_SCRAPE;
    end = part - 1;
  }
  if (!namesInfoHash(text, queryAt, targetTo)) return PATH_OTHER;
  return kindWithInfoHash(text, from, to);
}

function kindWithInfoHash(text: string, from: number, to: number): number {
  if (from === to) return PATH_ANNOUNCE;
  let at = from;
  while (at < to && text.charCodeAt(at) === SLASH) at++;
  const first = byteAt(text, at, to);
  if (first === LOWER_A) return PATH_ANNOUNCE;
  const next = at + (text.charCodeAt(at) === PERCENT ? 3 : 1);
  if (first === LOWER_S && next < to && byteAt(text, next, to) === LOWER_C) return PATH_SCRAPE;
  for (const page of PAGES) if (isPath(text, from, to, page)) return PATH_MISTAKEN;
  return PATH_OTHER;
}

function isAnnounce(text: string, from: number, to: number): boolean {
  return isText(text, from, to, "announce") || isText(text, from, to, "announce.php");
}

function isScrape(text: string, from: number, to: number): boolean {
  return isText(text, from, to, "scrape") || isText(text, from, to, "scrape.php");
}

function namesInfoHash(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const before = text.charCodeAt(at - 1);
    if (before !== QUESTION && before !== AMPERSAND && before !== SEMICOLON) continue;
    if (text.startsWith(INFO_HASH_KEY, at)) return true;
  }
  return false;
}

/** True if the path is `path`, percent-decoded, with repeated slashes read as one. */
export function isPath(text: string, from: number, to: number, path: string): boolean {
  let size = 0;
  for (let at = from; at < to;) {
    const code = text.charCodeAt(at);
    const repeated = code === SLASH && at > from && text.charCodeAt(at - 1) === SLASH;
    if (!repeated && byteAt(text, at, to) !== path.charCodeAt(size++)) return false;
    at += code === PERCENT ? 3 : 1;
  }
  return size === path.length;
}

/** Where the path that begins at `from` ends: before the query, the fragment or `to`. */
export function pathEnd(text: string, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code === QUESTION || code === HASH) return at;
  }
  return to;
}

/** The same without slashes and escaped blanks at the end. */
export function trimmedEnd(text: string, from: number, to: number): number {
  let end = to;
  while (end > from) {
    if (text.charCodeAt(end - 1) === SLASH) end -= 1;
    else if (endsInBlank(text, from, end)) end -= 3;
    else break;
  }
  return end;
}

function endsInBlank(text: string, from: number, to: number): boolean {
  const at = to - 3;
  if (at < from || text.charCodeAt(at) !== PERCENT) return false;
  for (const blank of BLANKS) if (text.startsWith(blank, at)) return true;
  return false;
}
