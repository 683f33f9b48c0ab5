/** Trackers that share over TLS, with a real server of NATS; skipped, and said so, without one. */
import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NATS_SERVER, NatsServer } from "../cluster/nats.ts";
import { makeCertificate, makeExpiredCertificate } from "../http/openssl.ts";
import { type Environment, startProcess, startTracker, type Tracker } from "./harness.ts";

const CONNECTED = "connected to the cluster";
const REFUSED = "the cluster cannot be reached";

function clustered(url: string, env: Environment = {}): Promise<Tracker> {
  return startTracker({ address: "127.0.0.1", env: { TRACKER_CLUSTER_URL: url, ...env } });
}

describe.skipIf(NATS_SERVER === null || !makeCertificate.possible)(
  "a server with TLS (nats-server)",
  () => {
    async function withServer(
      verify: boolean,
      use: (url: string, cert: string, key: string) => Promise<void>,
    ): Promise<void> {
      const folder = mkdtempSync(join(tmpdir(), "buntracker-cluster-tls-"));
      try {
        const { cert, key } = makeCertificate(folder, "localhost", 90, "IP:127.0.0.1");
        const files = `cert_file: "${cert}", key_file: "${key}", ca_file: "${cert}"`;
        await using nats = await NatsServer.start(`tls { ${files}, verify: ${verify} }`);
        await use(`tls://127.0.0.1:${nats.port}`, cert, key);
      } finally {
        rmSync(folder, { recursive: true });
      }
    }

    test("is trusted with its CA, and refused with a remedy without it", async () => {
      await withServer(false, async (url, cert) => {
        await using right = await clustered(url, { TRACKER_CLUSTER_TLS_CA_FILE: cert });
        await using wrong = await clustered(url);
        await right.says(CONNECTED);
        await wrong.says(REFUSED);
        expect(wrong.stderr).toContain("TRACKER_CLUSTER_TLS_CA_FILE");
        expect(wrong.stderr).not.toContain(CONNECTED);
      });
    }, 60_000);

    test("may be beside one without: each is reached as its URL says", async () => {
      await withServer(false, async (url, cert) => {
        await using plain = await NatsServer.start();
        const ca = { TRACKER_CLUSTER_TLS_CA_FILE: cert };
        await using first = await clustered(`${plain.url},${url}`, ca);
        await using second = await clustered(`${url},${plain.url}`, ca);
        await Promise.all([first, second].map((tracker) => tracker.says(CONNECTED)));
        expect(first.stderr).not.toContain(REFUSED);
        await plain.kill();
        await first.says(`engine=127.0.0.1:${new URL(url).port}`, 20_000);
        await using unnamed = await clustered(url.replace("tls:", "nats:"));
        await unnamed.says(REFUSED);
        expect(unnamed.stderr).toContain("write tls:// in TRACKER_CLUSTER_URL");
      });
    }, 60_000);

    test("that asks for a certificate gets ours, and lets nobody in without one", async () => {
      await withServer(true, async (url, cert, key) => {
        const ca = { TRACKER_CLUSTER_TLS_CA_FILE: cert };
        const own = { TRACKER_CLUSTER_TLS_CERT_FILE: cert, TRACKER_CLUSTER_TLS_KEY_FILE: key };
        await using right = await clustered(url, { ...ca, ...own });
        await using wrong = await clustered(url, ca);
        await right.says(CONNECTED);
        await wrong.says(REFUSED);
        expect(wrong.stderr).toContain("TRACKER_CLUSTER_TLS_CERT_FILE and TRACKER_CLUSTER_TLS_KEY");
        expect(wrong.stderr).not.toContain(CONNECTED);
      });
    }, 60_000);

    test("that refuses our expired certificate is told, and a renewed one is used", async () => {
      const folder = mkdtempSync(join(tmpdir(), "buntracker-cluster-tls-"));
      await using cleanup = new AsyncDisposableStack();
      cleanup.defer(() => rmSync(folder, { recursive: true }));
      const { cert, key } = makeCertificate(folder, "localhost", 90, "IP:127.0.0.1");
      const own = makeExpiredCertificate(folder, "own");
      const renewed = makeCertificate(folder, "renewed");
      const trusted = join(folder, "all.pem");
      const all = [cert, own.cert, renewed.cert].map((file) => readFileSync(file, "utf8"));
      writeFileSync(trusted, all.join(""));
      const files = `cert_file: "${cert}", key_file: "${key}", ca_file: "${trusted}"`;
      await using nats = await NatsServer.start(`tls { ${files}, verify: true }`);
      const env = {
        ...{
          TRACKER_CLUSTER_URL: `tls://127.0.0.1:${nats.port}`,
          TRACKER_CLUSTER_TLS_CA_FILE: cert,
        },
        ...{ TRACKER_CLUSTER_TLS_CERT_FILE: own.cert, TRACKER_CLUSTER_TLS_KEY_FILE: own.key },
      };
      await using tracker = await startTracker({ address: "127.0.0.1", env });
      await tracker.says("a login at the NATS servers has expired: they refuse this tracker");
      await tracker.says(REFUSED);
      const closed = "it closed the connection in the handshake of TLS";
      const why = `TRACKER_CLUSTER_TLS_CERT_FILE is ${own.cert}, which expired 2021-01-01T00:00Z`;
      const remedy = "renew the file: it is read at the next connection";
      expect(tracker.stderr).toContain(`reason="${closed}; ${why}" remedy="${remedy}`);
      await using check = startProcess({ args: ["check"], env });
      expect(await check.exited(20_000)).toBe(1);
      expect(check.stderr).toContain(`${closed}; ${why}\nbuntracker: hint: ${remedy}`);
      copyFileSync(renewed.key, own.key);
      copyFileSync(renewed.cert, own.cert);
      await tracker.says(CONNECTED, 20_000);
    }, 60_000);
  },
);
