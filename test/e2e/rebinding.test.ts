/**
 * What a page in a browser on the tracker's machine could read, by having its own name resolve to
 * 127.0.0.1: nothing that is for the operator or this machine alone.
 */
import { expect, test } from "bun:test";
import { hostname } from "node:os";

import { freePort, startTracker } from "./harness.ts";
import { exchangeTcp } from "./raw-http.ts";

const TOKEN = "correct-horse-battery-staple";

/** The status and the body that a request under a host name gets. */
async function ask(port: number, method: string, path: string, host: string, field = "X: y") {
  const fields = `Host: ${host}\r\n${field}\r\nConnection: close\r\n`;
  const text = `${method} ${path} HTTP/1.1\r\n${fields}\r\n`;
  const pieces = [Buffer.from(text)];
  const { bytes } = await exchangeTcp({ host: "127.0.0.1", port, source: "127.0.0.1", pieces });
  return Buffer.from(bytes).toString("latin1");
}

test("only addresses, names of this machine and configured names are answered", async () => {
  const admin = freePort();
  await using tracker = await startTracker({
    env: {
      TRACKER_ADMIN_ADDRESS: `127.0.0.1:${admin}`,
      TRACKER_ADMIN_TOKEN: TOKEN,
      TRACKER_PUBLIC_NAME: "tracker.example.org",
    },
  });
  const evil = "evil.example:6970";
  for (const path of ["/metrics", "/live", "/hosts", "/health", `/challenge/${"ab".repeat(32)}`]) {
    expect(await ask(admin, "GET", path, evil)).toStartWith("HTTP/1.1 421 ");
  }
  const shown = `Authorization: Bearer ${TOKEN}`;
  expect(await ask(admin, "PUT", "/maintenance", evil, shown)).toStartWith("HTTP/1.1 421 ");
  const names = [`127.0.0.1:${admin}`, "localhost", "tracker:6970", "tracker.example.org"];
  for (const host of [...names, `${hostname()}:6970`]) {
    expect(await ask(admin, "GET", "/metrics", host)).toStartWith("HTTP/1.1 200 ");
  }
  for (const path of ["/stats", "/stats?mode=hosts", "/stats?mode=statedump"]) {
    expect(await ask(tracker.port, "GET", path, evil)).toStartWith("HTTP/1.1 403 ");
    expect(await ask(tracker.port, "GET", path, "127.0.0.1")).toStartWith("HTTP/1.1 200 ");
  }
  expect(await ask(tracker.port, "GET", "/scrape", evil)).toContain("info_hash is missing");
  expect(await ask(tracker.port, "GET", "/scrape", "localhost")).toContain("5:files");
  // Clients come under any name.
  const query = `info_hash=${"%aa".repeat(20)}&peer_id=-EE0001-abcdefghijkl&port=7001&left=1`;
  expect(await ask(tracker.port, "GET", `/announce?${query}`, evil)).toContain("8:interval");
  expect(tracker.stderr.split("named an unknown host").length).toBe(2);
  const metrics = await ask(admin, "GET", "/metrics", "localhost");
  expect(metrics).toContain('tracker_warnings_total{warning="operator_host"} 6');
});

test("wrong tokens are slowed, counted, and warned of once", async () => {
  const admin = freePort();
  const address = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${admin}` };
  await using tracker = await startTracker({ env: { ...address, TRACKER_ADMIN_TOKEN: TOKEN } });
  const begun = performance.now();
  const statuses: string[] = [];
  for (let i = 0; i < 200; i++) {
    const field = `Authorization: Bearer ${TOKEN}${i}`;
    statuses.push((await ask(admin, "PUT", "/maintenance", "localhost", field)).slice(9, 12));
  }
  const seconds = Math.ceil((performance.now() - begun) / 1000);
  const judged = statuses.filter((status) => status === "401").length;
  expect(judged).toBeGreaterThanOrEqual(10);
  expect(judged).toBeLessThanOrEqual(10 + seconds);
  expect(statuses.filter((status) => status === "429").length).toBe(200 - judged);
  expect(tracker.stderr.split("had a wrong token").length).toBe(2);
  const metrics = await ask(admin, "GET", "/metrics", "localhost");
  expect(metrics).toContain('tracker_warnings_total{warning="operator_token"} 200');
});
