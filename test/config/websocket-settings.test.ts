import { describe, expect, test } from "bun:test";
import { readConfig } from "../../src/config/config.ts";
import { webSocketLimits } from "../../src/config/derived.ts";

function problemsOf(env: Record<string, string>): string[] {
  const result = readConfig(env);
  return "problems" in result ? result.problems : [];
}

function configOf(env: Record<string, string>) {
  const result = readConfig(env);
  if ("problems" in result) throw new Error(result.problems.join("\n"));
  return result.config;
}

describe("origins", () => {
  test("are read in lower case, with a star for the first label, and none", () => {
    const text = "https://A.example, https://*.Example.org:8443,none,http://[::1]:80";
    expect(configOf({ TRACKER_WEBSOCKET_ORIGINS: text }).websocketOrigins).toEqual([
      "https://a.example",
      "https://*.example.org:8443",
      "none",
      "http://[::1]:80",
    ]);
  });

  test("without a scheme, or with a path, are a mistake", () => {
    expect(problemsOf({ TRACKER_WEBSOCKET_DENY_ORIGINS: "example.org" })).toEqual([
      'TRACKER_WEBSOCKET_DENY_ORIGINS is "example.org", which is not an origin, a scheme with a ' +
        "host: write https://example.org",
    ]);
    for (const text of ["https://a.example/", "https://", "https://a b", "https://*.*.example"]) {
      expect(problemsOf({ TRACKER_WEBSOCKET_ORIGINS: text }).length).toBe(1);
    }
  });
});

test("the limits follow from those of HTTP, and never exceed them", () => {
  expect(webSocketLimits(configOf({}), 1000)).toEqual({
    connectionsMax: 500,
    perSiteMax: 125,
    perOriginMax: 500,
    peersMax: 4000,
  });
  const set = configOf({
    TRACKER_WEBSOCKET_CONNECTIONS_MAX: "5000",
    TRACKER_WEBSOCKET_CONNECTIONS_PER_ORIGIN_MAX: "7",
    TRACKER_WEBSOCKET_PEERS_MAX: "9",
  });
  expect(webSocketLimits(set, 1000)).toEqual({
    connectionsMax: 1000,
    perSiteMax: 250,
    perOriginMax: 7,
    peersMax: 9,
  });
});

test("the ranges are those of the documents", () => {
  for (const [variable, value] of [
    ["TRACKER_WEBSOCKET", "maybe"],
    ["TRACKER_WEBSOCKET_INTERVAL", "9s"],
    ["TRACKER_WEBSOCKET_PING", "4s"],
    ["TRACKER_WEBSOCKET_OFFERS_MAX", "51"],
    ["TRACKER_WEBSOCKET_COUNTS", "http"],
    ["TRACKER_WEBSOCKET_CONNECTIONS_MAX", "0"],
  ] as const) {
    expect(problemsOf({ [variable]: value }).length).toBe(1);
  }
});
