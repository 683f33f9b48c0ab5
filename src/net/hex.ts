/**
 * Hexadecimal digits, read by a table. Info hashes are random, so the CPU would mispredict a branch
 * between 0-9 and a-f for every second digit.
 */

/** The value of each character code of a string as a hexadecimal digit, -1 for any other. */
export const HEX_VALUES = new Int8Array(0x10000).fill(-1);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  HEX_VALUES[digit.charCodeAt(0)] = HEX_VALUES[digit.toUpperCase().charCodeAt(0)] = value;
}
