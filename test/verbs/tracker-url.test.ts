/** Announce URLs: what is wrong with one, and the addresses of its host. */
import { expect, test } from "bun:test";

import { addressesOf, hostOf, readTrackerUrl, serverOf } from "../../src/verbs/tracker-url.ts";

test.each([
  ["nonsense", "it is not a URL"],
  ["ftp://127.0.0.1/", "it is not udp, http, https, ws or wss"],
  ["udp://127.0.0.1/announce", "it names no port"],
  ["udp://127.0.0.1:0/announce", "its port is not from 1 to 65535"],
  ["http://127.0.0.1:99999/announce", "its port is not from 1 to 65535"],
])("%s: %s", (text, problem) => {
  expect(readTrackerUrl(text)).toBe(problem);
});

test("a good one is a URL", () => {
  expect(readTrackerUrl("udp://[::1]:6969")).toBeInstanceOf(URL);
});

test("a host has no brackets, and is in ASCII", () => {
  expect(hostOf(new URL("udp://[::1]:6969"))).toBe("::1");
  expect(hostOf(new URL("udp://ｌｏｃａｌｈｏｓｔ:1"))).toBe("localhost");
});

test("the addresses of an address are itself", async () => {
  expect(await addressesOf("192.0.2.1")).toEqual(["192.0.2.1"]);
});

test("a server has the port of its scheme, and a name for TLS", () => {
  expect(serverOf(new URL("wss://tracker.example.org/a"), "192.0.2.1")).toEqual({
    ...{ address: "192.0.2.1", port: 443, host: "tracker.example.org" },
    tls: { name: "tracker.example.org" },
  });
  expect(serverOf(new URL("http://192.0.2.1/a"), "192.0.2.1").tls).toBeUndefined();
});
