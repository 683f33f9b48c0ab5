/** Host names accepted in requests for pages that only this machine may see. */
import { expect, test } from "bun:test";

import { OwnNames } from "../../src/net/own-names.ts";

const names = new OwnNames(["Tracker.example.org", "box"]);

test.each([
  "",
  "127.0.0.1",
  "127.0.0.1:6970",
  "203.0.113.7:80",
  "[::1]",
  "[2001:db8::1]:6970",
  "localhost",
  "LOCALHOST.:6970",
  "a.localhost:1",
  "tracker:6970",
  "box",
  "tracker.example.org",
  "TRACKER.example.ORG.:6970",
])("%j passes", (host) => {
  expect(names.has(host)).toBe(true);
});

test.each([
  "evil.example",
  "evil.example:6970",
  "x.tracker.example.org",
  "tracker.example.org.evil.example",
  "box.evil.example",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "127.1",
  "0x7f.0.0.1",
  "[evil.example]",
  "[::1].evil.example",
  "127.0.0.1:6970, evil.example",
  "localhost evil.example",
  "user@localhost.example",
  "localhost:",
  ".",
  "..",
  "a..b",
])("%j does not pass", (host) => {
  expect(names.has(host)).toBe(false);
});
