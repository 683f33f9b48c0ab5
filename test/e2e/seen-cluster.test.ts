/**
 * What operators see of trackers that share their peers: pages, metrics, verbs. Skipped, and said
 * so, where `nats-server` is not installed.
 */
import { connect } from "@nats-io/transport-node";
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { helloMessage } from "../../src/cluster/wire.ts";
import { HELLO } from "../cluster/hello.ts";
import { NATS_SERVER, NatsServer } from "../cluster/nats.ts";
import { freePort, startProcess, startTracker } from "./harness.ts";

const MINUTE = 60_000;

async function clustered(url: string, node: string) {
  const admin = `127.0.0.1:${freePort()}`;
  const env = { TRACKER_CLUSTER_NODE: node, TRACKER_ADMIN_ADDRESS: admin };
  const tracker = await startTracker({
    address: "127.0.0.1",
    env: { TRACKER_CLUSTER_URL: url, TRACKER_OWN_ADDRESSES: "store", ...env },
  });
  return Object.assign(tracker, {
    admin,
    page: async (path: string) => (await fetch(`http://${admin}/${path}`)).text(),
  });
}

async function verb(args: string[], admin: string): Promise<string> {
  await using process = startProcess({ args, env: { TRACKER_ADMIN_ADDRESS: admin } });
  await process.exited();
  return process.stdout + process.stderr;
}

/** Waits until `look` is true; after some seconds the test goes on, and fails. */
async function until(look: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200 && !(await look()); tries++) await Bun.sleep(50);
}

test("a tracker that is alone has no page, no metric and no line of a cluster", async () => {
  const admin = `127.0.0.1:${freePort()}`;
  await using tracker = await startTracker({ env: { TRACKER_ADMIN_ADDRESS: admin } });
  expect(tracker.port).toBeGreaterThan(0);
  const answer = await fetch(`http://${admin}/cluster`);
  expect(answer.status).toBe(404);
  expect(await answer.text()).toContain("set TRACKER_CLUSTER_URL");
  expect(await (await fetch(`http://${admin}/metrics`)).text()).not.toContain("tracker_cluster_");
  expect(await (await fetch(`http://127.0.0.1:${tracker.port}/`)).text()).not.toContain("luster");
  expect(await verb(["cluster"], admin)).toContain("error: this tracker is alone");
});

describe.if(NATS_SERVER !== null)("trackers that share their peers", () => {
  test(
    "name each other on the page, in metrics and by the verb",
    async () => {
      await using nats = await NatsServer.start();
      await using a = await clustered(nats.url, "a");
      await using b = await clustered(nats.url, "b");
      await until(async () => {
        const pages = await Promise.all([a.page("cluster"), b.page("cluster")]);
        const figures = pages.map((text) => JSON.parse(text));
        return figures.every(({ heard, behindSeconds }) => heard === 1 && behindSeconds === 0);
      });
      const hash = "%01".repeat(20);
      const query = `info_hash=${hash}&peer_id=${"p".repeat(20)}&port=1000&left=1`;
      await fetch(`http://127.0.0.1:${a.port}/announce?${query}`);
      await until(async () => JSON.parse(await b.page("cluster")).deltas.received === 1);
      expect(JSON.parse(await b.page("cluster"))).toMatchObject({
        ...{ name: "default", node: "b", up: true, engine: `127.0.0.1:${nats.port}`, heard: 1 },
        nodes: [{ node: "a", version: 1, live: 1, lack: 0, timeoutSeconds: 2700 }],
      });
      expect(await b.page("cluster")).not.toContain("1000,");
      const stats = await fetch(`http://127.0.0.1:${b.port}/stats?mode=everything`);
      expect(await stats.text()).toMatch(/<livesync>\s*<count>1</);
      const metrics = await b.page("metrics");
      expect(metrics).toContain("\ntracker_cluster_up 1\n");
      expect(metrics).toContain("\ntracker_cluster_nodes 1\n");
      expect(metrics).toContain('\ntracker_cluster_deltas_total{direction="received"} 1\n');
      const line = /Cluster: 1 other tracker, [\d.]+ deltas in and 0 out per second, whole/;
      expect(await verb(["top"], b.admin)).toMatch(line);
      expect(await (await fetch(`http://127.0.0.1:${b.port}/`)).text()).toMatch(line);
      expect(metrics).toMatch(/\ntracker_cluster_apply_seconds_count [1-9]/);
      expect(await a.page("metrics")).toMatch(/\ntracker_cluster_acknowledge_seconds_count [1-9]/);
      expect(await verb(["cluster"], a.admin)).toMatch(/\nb +0\.\d?s? +0 +0 +45m  whole\n/);
      await nats.kill();
      await until(async () => !JSON.parse(await a.page("cluster")).up);
      expect(await a.page("metrics")).toContain("\ntracker_cluster_up 0\n");
      expect(await verb(["cluster"], a.admin)).toContain(
        "state      cut off, this tracker goes on alone\n",
      );
    },
    MINUTE,
  );
});

describe("check", () => {
  const check = async (env: Record<string, string>) => {
    await using process = startProcess({ args: ["check"], env });
    const code = await process.exited(20_000);
    return { code, text: process.stdout + process.stderr };
  };

  test("warns of a server that is not there, and says no password", async () => {
    const url = `nats://127.0.0.1:${freePort()}`;
    const { code, text } = await check({
      TRACKER_CLUSTER_URL: url.replace("//", "//u:secret@"),
    });
    expect(code).toBe(0);
    expect(text).toContain(`warning: ${url.replace("//", "//u@")}: `);
    expect(text).toContain(`start a NATS server at ${url.slice(7)}\n`);
    expect(text).not.toContain("secret");
    expect(text).not.toContain("not on this machine");
  });

  test.if(NATS_SERVER !== null)(
    "says of each server whether it answers, and which trackers are heard",
    async () => {
      await using nats = await NatsServer.start(
        'authorization { users: [{ user: "u", password: "p2" }] }',
      );
      const login = { TRACKER_CLUSTER_USER: "u", TRACKER_CLUSTER_PASSWORD: "p2" };
      await using tracker = await startTracker({
        env: { TRACKER_CLUSTER_URL: nats.url, TRACKER_CLUSTER_NODE: "b", ...login },
      });
      await until(async () => tracker.stderr.includes("connected to the cluster"));
      const right = await check({ TRACKER_CLUSTER_URL: nats.url, ...login });
      expect(right.text).toContain(
        `${nats.url} answers without TLS, the login is right; trackers heard: b\n`,
      );
      await using open = await NatsServer.start();
      const asked = await check({ TRACKER_CLUSTER_URL: open.url, ...login });
      expect(asked.text).toContain(`${open.url} answers without TLS, no login is asked for;`);
      expect(asked.text).toMatch(/warning: nats:.* asks for no login, so any program/);
      const wrong = { ...login, TRACKER_CLUSTER_PASSWORD: "p3" };
      const refused = await check({ TRACKER_CLUSTER_URL: nats.url, ...wrong });
      expect([right.code, asked.code, refused.code]).toEqual([0, 0, 1]);
      expect(refused.text).toMatch(/error: nats:.*: .*\n.*hint: .*TRACKER_CLUSTER_PASSWORD/);
      // A name that another program has made up is no line of its own, nor are more than 64 shown.
      const client = await connect({ servers: nats.url, user: "u", pass: "p2" });
      const timer = setInterval(() => {
        for (let n = 0; n < 100; n++) {
          const origin = n.toString(16).padStart(16, "0");
          const bytes = helloMessage({ origin, number: 0 }, { ...HELLO, name: `x\nwarning: ${n}` });
          client.publish("buntracker.default.all", bytes);
        }
      }, 200);
      const flooded = await check({ TRACKER_CLUSTER_URL: nats.url, ...login });
      clearInterval(timer);
      await client.close();
      expect(flooded.text.match(/x\?warning: \d/g)?.length).toBeLessThanOrEqual(64);
      expect(flooded.text).not.toMatch(/^warning: \d/m);
      const url = `${nats.url},nats://127.0.0.1:${freePort()}`;
      expect((await check({ TRACKER_CLUSTER_URL: url, ...login })).code).toBe(0);
    },
    MINUTE,
  );

  test.if(NATS_SERVER !== null && Bun.which("openssl") !== null)(
    "says whether TLS is right",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "buntracker-tls-"));
      const [key, cert] = ["key", "crt"].map((name) => join(folder, name));
      Bun.spawnSync([
        ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ...["-nodes", "-days", "2", "-subj", "/CN=nats", "-addext", "subjectAltName=IP:127.0.0.1"],
        ...["-keyout", key, "-out", cert],
      ]);
      await using nats = await NatsServer.start(`tls { cert_file: "${cert}", key_file: "${key}" }`);
      const url = `tls://127.0.0.1:${nats.port}`;
      const trusted = { TRACKER_CLUSTER_TLS_CA_FILE: cert };
      const right = await check({ TRACKER_CLUSTER_URL: url, ...trusted });
      expect(right.text).toContain(`${url} answers with TLS, without a login; no tracker is heard`);
      const unknown = await check({ TRACKER_CLUSTER_URL: url });
      expect(unknown.text).toContain("TRACKER_CLUSTER_TLS_CA_FILE");
      const plain = await check({ TRACKER_CLUSTER_URL: url.replace("tls:", "nats:") });
      expect(plain.text).toContain("hint: write tls:// in TRACKER_CLUSTER_URL");
      expect([right.code, unknown.code, plain.code]).toEqual([0, 1, 1]);
      rmSync(folder, { recursive: true });
    },
    MINUTE,
  );
});
