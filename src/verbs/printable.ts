/**
 * What other programs sent, made fit for a terminal: the one place that decides what may be shown.
 *
 * A terminal obeys what it is shown: escape sequences set its title, fill its clipboard, move its
 * cursor; marks of direction turn a line around. Everything that is not a visible character becomes
 * a question mark, and a text cannot begin a new line unless its caller says so.
 */

/** Control, format, unassigned and private characters, separators of lines, undecodable bytes. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\ufffd]/gu;
const UNPRINTABLE_IN_LINES = /(?!\n)[\p{C}\p{Zl}\p{Zp}\ufffd]/gu;

/** Characters of a stranger's text that are shown: a sentence is shorter. */
const EXCERPT_CHARACTERS_MAX = 200;

/** A text on one line. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, "?");
}

/** A text of lines, each of which is made printable. */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE_IN_LINES, "?");
}

/** What a stranger wrote, on one line and cut if it is long. */
export function excerpt(text: string): string {
  const shown = printable(text.slice(0, 2 * EXCERPT_CHARACTERS_MAX));
  return shown.length > EXCERPT_CHARACTERS_MAX
    ? `${shown.slice(0, EXCERPT_CHARACTERS_MAX)}…`
    : shown;
}
