/** Each code of a close that the tracker sends is counted as a reason. */
import { expect, test } from "bun:test";
import { reasonOf, WsCloses } from "../../src/ws/ws-closes.ts";

test.each([
  [1001, "shutdown"],
  [1002, "protocol"],
  [1007, "malformed"],
  [1008, "wrong_messages"],
  [1009, "too_large"],
  [1011, "protocol"],
])("%d is %s", (code, reason) => {
  expect(reasonOf(code)).toBe(reason as keyof WsCloses);
  expect(Object.keys(new WsCloses())).toContain(reason);
});
