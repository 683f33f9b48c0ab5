/** Words of 20 characters, which stand for as many bytes: info hashes, peer ids, offer ids. */

/** The word of that number; `kind` is one character. */
export function wordOf(kind: string, number: number): string {
  return kind + String(number).padStart(19, "0");
}

/** One of many info hashes. */
export function hash20(number: number): string {
  return wordOf("h", number);
}
