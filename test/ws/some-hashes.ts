/** Info hashes for tests. */

/** One of many info hashes. */
export function hash20(number: number): string {
  return String(number).padEnd(20, "#");
}
