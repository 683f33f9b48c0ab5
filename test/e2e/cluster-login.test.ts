/** Files of a cluster's login: one that is wrong ends the start, and `check` says it too. */
import { nkeys } from "@nats-io/transport-node";
import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../http/openssl.ts";
import { NATS_SERVER, NatsServer } from "../cluster/nats.ts";
import { freePort, startProcess, startTracker } from "./harness.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-login-"));
afterAll(() => rmSync(folder, { recursive: true }));

const URL = { TRACKER_CLUSTER_URL: "tls://127.0.0.1:1" };

/** A .creds file of a new user, whose JWT expires then. */
function credentialsUntil(exp: number): string {
  const user = nkeys.createUser();
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: user.getPublicKey(), exp };
  const jwt = [part({ alg: "ed25519-nkey" }), part(claims), "c2lnbmF0dXJl"].join(".");
  const block = (name: string, value: string) =>
    `-----BEGIN ${name}-----\n${value}\n------END ${name}------\n`;
  const seed = new TextDecoder().decode(user.getSeed());
  return `${block("NATS USER JWT", jwt)}\n${block("USER NKEY SEED", seed)}`;
}

/** The errors that the start and `check` print, each behind its exit code. */
async function said(env: Record<string, string>): Promise<string[]> {
  const outcomes = [[], ["check"]].map(async (args) => {
    await using child = startProcess({ args, env: { ...URL, ...env } });
    const code = await child.exited(20_000);
    const errors = child.stderr.split("\n").filter((line) => line.includes(": error: "));
    return [code, ...errors.map((line) => line.replace("buntracker: error: ", ""))].join(" ");
  });
  return Promise.all(outcomes);
}

const twice = (sentence: string): string[] => [sentence, sentence].map((text) => `78 ${text}`);

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("a file of the login", () => {
  test.each(["TRACKER_CLUSTER_CREDENTIALS_FILE", "TRACKER_CLUSTER_TLS_CA_FILE"])(
    "%s that is missing, a folder, or damaged ends the start",
    async (variable) => {
      const missing = join(folder, "missing");
      expect(await said({ [variable]: missing })).toEqual(
        twice(`${variable} is ${missing}, which is not there`),
      );
      expect(await said({ [variable]: folder })).toEqual(
        twice(`${variable} is ${folder}, which cannot be read (not a file)`),
      );
      const words = file("words", "not what it should be\n");
      const [start, check] = await said({ [variable]: words });
      expect(start).toStartWith(`78 ${variable} is ${words}, which `);
      expect(check).toBe(start);
    },
    20_000,
  );

  test.skipIf(NATS_SERVER === null)(
    "whose JWT has expired is named by the log and by `check` (nats-server)",
    async () => {
      await using nats = await NatsServer.start("authorization { user: u, password: p }");
      const expired = credentialsUntil(Date.parse("2026-01-02T03:04Z") / 1000);
      const env = {
        TRACKER_CLUSTER_URL: nats.url,
        TRACKER_CLUSTER_CREDENTIALS_FILE: file("expired.creds", expired),
      };
      const day = "expired.creds, which expired 2026-01-02T03:04Z";
      await using tracker = await startTracker({ address: "127.0.0.1", env });
      await tracker.says("a login at the NATS servers has expired: they refuse this tracker");
      await tracker.says(day);
      expect(tracker.stderr).toMatch(
        /cannot be reached" .*which expired .*remedy="renew the file: it/,
      );
      await using check = startProcess({ args: ["check"], env });
      expect(await check.exited(20_000)).toBe(1);
      expect(check.stderr).toContain(day);
      expect(check.stderr).toContain("renew the file: it is read at the next connection");
    },
    30_000,
  );

  test.if(makeCertificate.possible)(
    "whose certificate expires soon is warned of by the start and by `check`, with a metric",
    async () => {
      const { cert, key } = makeCertificate(folder, "soon", 5);
      const admin = `127.0.0.1:${freePort()}`;
      const env = {
        ...{ ...URL, TRACKER_ADMIN_ADDRESS: admin },
        ...{ TRACKER_CLUSTER_TLS_CERT_FILE: cert, TRACKER_CLUSTER_TLS_KEY_FILE: key },
      };
      await using tracker = await startTracker({ address: "127.0.0.1", env });
      await tracker.says("a login at the NATS servers expires soon");
      expect(tracker.stderr).toContain(`setting=TRACKER_CLUSTER_TLS_CERT_FILE file=${cert}`);
      const metrics = await (await fetch(`http://${admin}/metrics`)).text();
      const name = "tracker_cluster_login_expiry_timestamp_seconds";
      const ends = Number(new RegExp(`^${name} (\\d+)$`, "m").exec(metrics)![1]);
      expect((ends - Date.now() / 1000) / 86_400).toBeCloseTo(5, 1);
      await using check = startProcess({ args: ["check"], env });
      await check.exited(20_000);
      expect(check.stderr + check.stdout).toContain("a login at the NATS servers expires soon");
    },
    30_000,
  );

  test.skipIf(NATS_SERVER === null)(
    "that was renewed is used at the next connection: a password, and the seed of an nkey",
    async () => {
      const [one, two] = [nkeys.createUser(), nkeys.createUser()];
      const seed = (user: typeof one): string => new TextDecoder().decode(user.getSeed());
      const only = (user: string): string => `authorization { users: [{ ${user} }] }`;
      const ways = [
        {
          env: {
            TRACKER_CLUSTER_USER: "u",
            TRACKER_CLUSTER_PASSWORD_FILE: file("password", "old"),
          },
          texts: ["old\n", "new\n"],
          users: ['user: "u", password: "old"', 'user: "u", password: "new"'],
        },
        {
          env: { TRACKER_CLUSTER_CREDENTIALS_FILE: file("seed", seed(one)) },
          texts: [seed(one), seed(two)],
          users: [`nkey: ${one.getPublicKey()}`, `nkey: ${two.getPublicKey()}`],
        },
      ];
      for (const { env, texts, users } of ways) {
        const path = Object.values(env).at(-1)!;
        await using nats = await NatsServer.start(only(users[0]!));
        await using tracker = await startTracker({
          address: "127.0.0.1",
          env: { TRACKER_CLUSTER_URL: nats.url, ...env },
        });
        await tracker.says("connected to the cluster");
        await nats.kill();
        await nats.start(only(users[1]!));
        await tracker.says("Authorization Violation", 20_000);
        // It may be read in the middle of a change: then the old login stays, and it goes on.
        writeFileSync(path, "");
        await tracker.says("the login of the cluster cannot be read again", 20_000);
        writeFileSync(path, texts[1]!);
        const twice = /connected to the cluster.*connected to the cluster/s;
        for (let tries = 0; tries < 400 && !twice.test(tracker.stderr); tries++) {
          await Bun.sleep(50);
        }
        expect(tracker.stderr).toMatch(twice);
      }
    },
    60_000,
  );

  test.if(makeCertificate.possible)(
    "is read again on SIGHUP: the metric says the new end, and a damaged one changes nothing",
    async () => {
      const old = makeCertificate(folder, "renewable", 5);
      const renewed = makeCertificate(folder, "for-a-year", 365);
      const admin = `127.0.0.1:${freePort()}`;
      const env = {
        ...{ ...URL, TRACKER_ADMIN_ADDRESS: admin },
        ...{ TRACKER_CLUSTER_TLS_CERT_FILE: old.cert, TRACKER_CLUSTER_TLS_KEY_FILE: old.key },
      };
      await using tracker = await startTracker({ address: "127.0.0.1", env });
      const days = async (): Promise<number> => {
        const metrics = await (await fetch(`http://${admin}/metrics`)).text();
        const name = "tracker_cluster_login_expiry_timestamp_seconds";
        const ends = Number(new RegExp(`^${name} (\\d+)$`, "m").exec(metrics)![1]);
        return Math.round((ends - Date.now() / 1000) / 86_400);
      };
      expect(await days()).toBe(5);
      copyFileSync(renewed.cert, old.cert);
      tracker.signal("SIGHUP");
      await tracker.says("reload failed, everything stays as it was");
      expect(tracker.stderr).toContain("which is not the key of the first certificate");
      expect(await days()).toBe(5);
      copyFileSync(renewed.key, old.key);
      tracker.signal("SIGHUP");
      await tracker.says("msg=reloaded");
      expect(await days()).toBe(365);
    },
    30_000,
  );

  test.if(makeCertificate.possible)(
    "that holds another key than that of the certificate ends the start",
    async () => {
      const [one, two] = ["one", "two"].map((name) => makeCertificate(folder, name));
      const pair = (cert: string, key: string) =>
        said({ TRACKER_CLUSTER_TLS_CERT_FILE: cert, TRACKER_CLUSTER_TLS_KEY_FILE: key });
      expect(await pair(one.cert, two.key)).toEqual(
        twice(
          `TRACKER_CLUSTER_TLS_KEY_FILE is ${two.key}, which is not the key of the first ` +
            `certificate in ${one.cert}`,
        ),
      );
      const cut = file("cut", readFileSync(one.cert, "utf8").slice(0, 100));
      expect(await pair(cut, one.key)).toEqual(
        twice(`TRACKER_CLUSTER_TLS_CERT_FILE is ${cut}, in which the certificate is damaged`),
      );
    },
    20_000,
  );
});

test("bytes of a server that is none of NATS reach no terminal", async () => {
  const info = { server_id: "x", version: "2.10.0", proto: 1, headers: true, max_payload: 1 << 20 };
  const port = freePort();
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(`INFO ${JSON.stringify(info)}\r\n`),
      data(socket, bytes) {
        if (!bytes.includes("PING")) return;
        socket.write("PONG\r\nMSG \x1b]0;title\x07a 1 99999999999\r\n");
      },
    },
  });
  const env = { TRACKER_CLUSTER_URL: `nats://127.0.0.1:${port}`, TRACKER_UDP_WORKERS: "0" };
  await using check = startProcess({ args: ["check"], env });
  expect(await check.exited(30_000)).toBe(0);
  server.stop(true);
  expect(check.stderr).toContain("it does not answer pings");
  expect(check.stdout + check.stderr).not.toMatch(/[^\n\x20-\x7e]/);
}, 40_000);
