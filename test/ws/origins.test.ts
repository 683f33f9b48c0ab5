import { expect, test } from "bun:test";
import { originOf, Origins } from "../../src/ws/origins.ts";

const openOrigins = (allowed: string[] = [], denied: string[] = [], connectionsMax = 2): Origins =>
  new Origins({ allowed, denied, connectionsMax });

test("without lists every origin is allowed", () => {
  const origins = openOrigins();
  for (const origin of ["https://a.example", "none", "null", ""]) {
    expect(origins.allows(origin)).toBe(true);
  }
});

test("with an allow list only its origins are, and a denied one never is", () => {
  const origins = openOrigins(["https://a.example", "none"], ["https://b.example"]);
  expect(origins.allows("https://a.example")).toBe(true);
  expect(origins.allows("none")).toBe(true);
  for (const other of ["http://a.example", "https://a.example:8443", "https://b.example"]) {
    expect(origins.allows(other)).toBe(false);
  }
  expect(openOrigins([], ["none"]).allows("none")).toBe(false);
  expect(openOrigins(["none"], ["none"]).allows("none")).toBe(false);
});

test("a star in the list of denied origins stands for one label or more", () => {
  const origins = openOrigins([], ["https://*.example.org"]);
  for (const denied of ["https://a.example.org", "https://a.b.c.example.org"]) {
    expect(origins.allows(denied)).toBe(false);
  }
  for (const other of ["https://example.org", "https://a.example.org:1", "https://aexample.org"]) {
    expect(origins.allows(other)).toBe(true);
  }
});

test("a star in the list of allowed ones stands for one label, and no more", () => {
  const origins = openOrigins(["https://*.example.org"]);
  expect(origins.allows("https://video.example.org")).toBe(true);
  for (const other of [
    "https://example.org",
    "https://.example.org",
    "https://a.b.example.org",
    "https://evil.org/.example.org",
    "https://evil.org:1.example.org",
    "http://video.example.org",
    "https://video.example.org.evil.net",
  ]) {
    expect(origins.allows(other)).toBe(false);
  }
});

test("connections of an origin are counted up to its limit", () => {
  const origins = openOrigins();
  origins.add("a");
  expect(origins.hasRoom("a")).toBe(true);
  origins.add("a");
  origins.add("b");
  expect([origins.hasRoom("a"), origins.hasRoom("b")]).toEqual([false, true]);
  expect(origins.largest(1)).toEqual([{ origin: "a", connections: 2 }]);
  origins.remove("a");
  expect(origins.hasRoom("a")).toBe(true);
  origins.remove("a");
  origins.remove("b");
  expect(origins.size).toBe(0);
});

test("an origin is compared in lower case, and cut where it is too long", () => {
  expect(originOf("HTTPS://A.Example")).toBe("https://a.example");
  expect(originOf("")).toBe("none");
  expect(originOf(`https://${"a".repeat(10_000)}`).length).toBe(256);
});

test("a dot at the end of the host makes no other origin", () => {
  expect(originOf("https://a.example.")).toBe("https://a.example");
  expect(originOf("https://A.example.:8443")).toBe("https://a.example:8443");
});
