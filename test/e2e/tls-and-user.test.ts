/** HTTPS with a certificate that is renewed while it runs, and giving up root. */
import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { makeCertificate } from "../http/openssl.ts";
import { freePort, startProcess, startTracker } from "./harness.ts";

const directory = mkdtempSync(join(tmpdir(), "buntracker-tls-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** The common name in the certificate that a port shows. */
function shownName(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
    resolve(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}

describe.if(makeCertificate.possible)("HTTPS", () => {
  test("shows a renewed certificate after SIGHUP, and the old one if it is broken", async () => {
    const first = makeCertificate(directory, "first.example");
    const second = makeCertificate(directory, "second.example");
    const cert = join(directory, "cert.pem");
    const key = join(directory, "key.pem");
    copyFileSync(first.cert, cert);
    copyFileSync(first.key, key);
    const plain = freePort();
    const secure = freePort();
    await using tracker = await startTracker({
      env: {
        TRACKER_TLS_CERT_FILE: cert,
        TRACKER_TLS_KEY_FILE: key,
        TRACKER_HTTP_ADDRESS: `http://127.0.0.1:${plain},127.0.0.1:${secure}`,
      },
      port: plain,
    });
    expect(await shownName(secure)).toBe("first.example");
    copyFileSync(second.cert, cert);
    tracker.signal("SIGHUP");
    await tracker.says("reload failed");
    expect(await shownName(secure)).toBe("first.example");
    copyFileSync(second.key, key);
    tracker.signal("SIGHUP");
    await tracker.says("msg=reloaded");
    expect(await shownName(secure)).toBe("second.example");
  });

  test("without a certificate is a sentence and exit code 78", async () => {
    const tracker = startProcess({ env: { TRACKER_HTTP_ADDRESS: "https://127.0.0.1:1" } });
    expect(await tracker.exited()).toBe(78);
    expect(tracker.stderr).toContain("needs a certificate: set TRACKER_TLS_CERT_FILE");
  });
});

describe.if(process.getuid?.() === 0)("TRACKER_USER", () => {
  test("is who runs once the addresses are bound", async () => {
    await using tracker = await startTracker({ env: { TRACKER_USER: "nobody" } });
    const status = readFileSync(`/proc/${tracker.pid}/status`, "utf8");
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(status).toMatch(/^Groups:\t65534 $/m);
  });

  test("refuses to stay root", async () => {
    const tracker = startProcess({ env: { TRACKER_USER: "root" } });
    expect(await tracker.exited()).toBe(1);
    expect(tracker.stderr).toContain("TRACKER_USER is root, which is root");
  });
});
