/** The compiled tracker keeps every statement of the conformance suite, over every transport. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";

import { examineUrls, type Report } from "../../src/verbs/conformance/conformance.ts";
import { makeCertificate } from "../http/openssl.ts";
import { CALM, notHeld } from "../verbs/conformance/tried.ts";
import { freePort, startTracker } from "./harness.ts";

/** As long as a busy machine may take. */
const PATIENT = { ...CALM, silence: 200 };

test.each([
  ["127.0.0.1", "0"],
  ["[::1]", "0"],
  ["127.0.0.1", "2"],
])(
  "over HTTP, UDP and WebSocket at %s, with %s HTTP workers",
  async (host, workers) => {
    await using tracker = await startTracker({ env: { TRACKER_HTTP_WORKERS: workers } });
    const urls = ["http", "udp", "ws"].map(
      (scheme) => `${scheme}://${host}:${tracker.port}/announce`,
    );
    const reports = await examineUrls(urls, { manners: PATIENT });
    expect(notHeld(reports)).toEqual([]);
    expect(reports.map(({ results }) => results.length > 30)).toEqual([true, true, true]);
  },
  60_000,
);

test.if(makeCertificate.possible)(
  "over HTTPS and WebSocket with TLS",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "conformance-"));
    const { cert, key } = makeCertificate(folder, "localhost");
    const [port, secure] = [freePort(), freePort()];
    const addresses = [`http://127.0.0.1:${port}`, `127.0.0.1:${secure}`, `[::1]:${secure}`];
    const files = { TRACKER_TLS_CERT_FILE: cert, TRACKER_TLS_KEY_FILE: key };
    const env = { TRACKER_HTTP_ADDRESS: addresses.join(), ...files };
    await using _ = await startTracker({ port, env });
    const urls = ["https", "wss"].map((scheme) => `${scheme}://localhost:${secure}/announce`);
    // The runtime reads further authorities at its start, so the suite runs in another process.
    const script = join(import.meta.dir, "../../src/verbs/conformance/conformance.ts");
    const program = `
      const { examineUrls } = await import(${JSON.stringify(script)});
      const manners = { answer: 4000, silence: 200, pause: 0, whole: 60000 };
      const infoHash = (first = Buffer.alloc(0)) =>
        Buffer.concat([first, crypto.getRandomValues(Buffer.alloc(20 - first.length))]);
      const urls = ${JSON.stringify(urls)};
      const reports = await examineUrls(urls, { manners: { ...manners, infoHash } });
      console.log(JSON.stringify(reports));
    `;
    const child = Bun.spawn([process.execPath, "-e", program], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: cert },
    });
    const reports = JSON.parse(await child.stdout.text()) as Report[];
    expect(notHeld(reports)).toEqual([]);
    expect(reports.length).toBeGreaterThan(1);
    rmSync(folder, { recursive: true });
  },
  60_000,
);
