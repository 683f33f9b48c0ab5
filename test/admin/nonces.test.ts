/** Nonces: each is valid once and for a short time, and strangers cannot make any. */
import { expect, test } from "bun:test";

import { NONCE_SECONDS, Nonces, TRACKER_NONCE_DIGITS } from "../../src/admin/nonces.ts";

test("an issued nonce is valid once", () => {
  const nonces = new Nonces(() => 100.7);
  const [one, other] = [nonces.issue(), nonces.issue()];
  expect(one).toMatch(new RegExp(`^[0-9a-f]{${TRACKER_NONCE_DIGITS}}$`));
  expect(other).not.toBe(one);
  expect(nonces.spend(one)).toBe(true);
  expect(nonces.spend(one)).toBe(false);
  expect(nonces.spend(other)).toBe(true);
});

test("it expires, and a spent nonce is stored until it expires", () => {
  let seconds = 100;
  const nonces = new Nonces(() => seconds);
  const [spent, late] = [nonces.issue(), nonces.issue()];
  expect(nonces.spend(spent)).toBe(true);
  for (const step of [1, NONCE_SECONDS - 2]) {
    seconds += step;
    expect(nonces.spend(nonces.issue())).toBe(true);
    expect(nonces.spend(spent)).toBe(false);
  }
  seconds += 1;
  expect(nonces.spend(spent)).toBe(false);
  expect(nonces.spend(late)).toBe(false);
});

test("a nonce of another process, a changed one and other texts are not valid", () => {
  const nonces = new Nonces(() => 100);
  const nonce = nonces.issue();
  const later = `ffffffff${nonce.slice(8)}`;
  for (const wrong of [
    new Nonces(() => 100).issue(),
    later,
    "",
    "0".repeat(TRACKER_NONCE_DIGITS),
  ]) {
    expect(nonces.spend(wrong)).toBe(false);
  }
});
