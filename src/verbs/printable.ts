/**
 * Makes texts of other programs safe for a terminal; the only place that decides this.
 *
 * A terminal obeys escape sequences, which set its title, fill its clipboard or move its cursor;
 * marks of direction reverse a line. Every character that is not visible becomes a question mark,
 * and so does a line end, unless the caller allows lines.
 */

/** Control, format, unassigned and private characters, separators of lines, undecodable bytes. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\ufffd]/gu;
const UNPRINTABLE_IN_LINES = /(?!\n)[\p{C}\p{Zl}\p{Zp}\ufffd]/gu;

/** The most characters of a stranger's text that are shown: a sentence is shorter. */
const EXCERPT_CHARACTERS_MAX = 200;

/** A text on one line. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, "?");
}

/** A text in which each line is made printable. */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE_IN_LINES, "?");
}

/** A stranger's text on one line, cut if it is long. */
export function excerpt(text: string): string {
  const shown = printable(text.slice(0, 2 * EXCERPT_CHARACTERS_MAX));
  return shown.length > EXCERPT_CHARACTERS_MAX
    ? `${shown.slice(0, EXCERPT_CHARACTERS_MAX)}…`
    : shown;
}

/** The same of any value of JSON: one that is no text may have a `toString` that is no function. */
export function excerptOf(value: unknown): string {
  const isPlain = typeof value !== "object" || value === null;
  return excerpt(isPlain ? String(value) : JSON.stringify(value));
}
