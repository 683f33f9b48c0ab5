/** Nonces: each good once and for a short while, and none can be made by others. */
import { expect, test } from "bun:test";

import { NONCE_SECONDS, Nonces, TRACKER_NONCE_DIGITS } from "../../src/admin/nonces.ts";

test("a nonce that was given out is good once", () => {
  const nonces = new Nonces(() => 100.7);
  const [one, other] = [nonces.give(), nonces.give()];
  expect(one).toMatch(new RegExp(`^[0-9a-f]{${TRACKER_NONCE_DIGITS}}$`));
  expect(other).not.toBe(one);
  expect(nonces.spend(one)).toBe(true);
  expect(nonces.spend(one)).toBe(false);
  expect(nonces.spend(other)).toBe(true);
});

test("it is good for a short while, and spent ones are forgotten later, not sooner", () => {
  let seconds = 100;
  const nonces = new Nonces(() => seconds);
  const [spent, late] = [nonces.give(), nonces.give()];
  expect(nonces.spend(spent)).toBe(true);
  for (const step of [1, NONCE_SECONDS - 2]) {
    seconds += step;
    expect(nonces.spend(nonces.give())).toBe(true);
    expect(nonces.spend(spent)).toBe(false);
  }
  seconds += 1;
  expect(nonces.spend(spent)).toBe(false);
  expect(nonces.spend(late)).toBe(false);
});

test("one of another process, a changed one and nonsense are not", () => {
  const nonces = new Nonces(() => 100);
  const nonce = nonces.give();
  const later = `ffffffff${nonce.slice(8)}`;
  for (const wrong of [new Nonces(() => 100).give(), later, "", "0".repeat(TRACKER_NONCE_DIGITS)]) {
    expect(nonces.spend(wrong)).toBe(false);
  }
});
