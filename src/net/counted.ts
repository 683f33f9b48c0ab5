/**
 * Amounts with their nouns, as people write them: `1 peer`, `2 peers`.
 */

/** The amount with its noun, whose plural ends with an s. */
export function counted(
  amount: number,
  noun: string,
  show: (amount: number) => string = String,
): string {
  return `${show(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}
