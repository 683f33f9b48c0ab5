/** HTTPS with a certificate that is renewed while it runs, and giving up root. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { makeCertificate } from "../http/openssl.ts";
import { freePort, startProcess, startTracker, type Tracker } from "./harness.ts";

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

/** Files the process holds; 0 where the system does not tell. */
function openFiles(pid: number): number {
  return process.platform === "linux" ? readdirSync(`/proc/${pid}/fd`).length : 0;
}

/** What a TLS connection gets for a request, which leaves it open. */
function health(socket: TLSSocket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.once("data", (bytes: Buffer) => resolve(bytes.toString("latin1")));
  socket.once("error", reject);
  socket.once("close", () => reject(new Error("closed without an answer")));
  socket.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  return promise;
}

/** Connects, asks and closes; rejects if any of that fails. */
async function askOnce(port: number): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  try {
    return await health(socket);
  } finally {
    socket.destroy();
  }
}

/** Reloads, and waits until that is said to be done for the `count`th time. */
async function reload(tracker: Tracker, count: number): Promise<void> {
  tracker.signal("SIGHUP");
  for (const end = performance.now() + 5000; performance.now() < end; await Bun.sleep(1)) {
    if (tracker.stderr.split("msg=reloaded").length > count) return;
  }
  throw new Error(`not reloaded ${count} times\n${tracker.stderr}`);
}

const RELOADS = 50;
const CONNECTIONS = 2000;
/** Connections that are being made at any moment. */
const LANES = 16;

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

  test.if(process.platform === "linux")(
    "tells a client in plain HTTP to use https, whatever it asks and however it comes",
    async () => {
      const { cert, key } = makeCertificate(directory, "plain.example");
      const [plain, secure] = [freePort(), freePort()];
      await using tracker = await startTracker({
        env: {
          TRACKER_TLS_CERT_FILE: cert,
          TRACKER_TLS_KEY_FILE: key,
          TRACKER_HTTP_ADDRESS: `http://127.0.0.1:${plain},127.0.0.1:${secure}`,
        },
        port: plain,
      });
      const body = /d14:failure reason\d+:this port speaks HTTPS: begin the URL with https:.*e$/;
      for (const path of ["/announce?info_hash=x", "/", `/scrape?${"x".repeat(9000)}`]) {
        const answer = await fetch(`http://127.0.0.1:${secure}${path}`, { keepalive: false });
        expect([answer.status, answer.statusText]).toEqual([400, "This port speaks HTTPS"]);
        expect(await answer.text()).toMatch(body);
      }
      expect(await shownName(secure)).toBe("plain.example");
      expect(await askOnce(secure)).toStartWith("HTTP/1.1 200 OK");
      expect(tracker.stderr).not.toContain("certificate");
    },
  );

  test("warns at the start that a certificate expires soon, and has it as metric", async () => {
    const { cert, key } = makeCertificate(directory, "soon.example", 5);
    const [plain, secure, admin] = [freePort(), freePort(), freePort()];
    await using tracker = await startTracker({
      env: {
        TRACKER_TLS_CERT_FILE: cert,
        TRACKER_TLS_KEY_FILE: key,
        TRACKER_HTTP_ADDRESS: `http://127.0.0.1:${plain},127.0.0.1:${secure}`,
        TRACKER_ADMIN_ADDRESS: `127.0.0.1:${admin}`,
      },
      port: plain,
    });
    await tracker.says("the certificate expires soon");
    const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    const expires = /^tracker_certificate_expiry_timestamp_seconds (\d+)$/m.exec(metrics)![1];
    expect((Number(expires) - Date.now() / 1000) / 86_400).toBeCloseTo(5, 1);
    expect(metrics).toContain('tracker_warnings_total{warning="certificate"} 1');
  });

  test("loses none of 2,000 connections while its certificate is renewed 50 times", async () => {
    const pairs = ["odd.example", "even.example"].map((name) => makeCertificate(directory, name));
    const cert = join(directory, "renewed.cert.pem");
    const key = join(directory, "renewed.key.pem");
    const install = (count: number) => {
      copyFileSync(pairs[count % 2]!.cert, cert);
      copyFileSync(pairs[count % 2]!.key, key);
    };
    install(0);
    const [port, secure] = [freePort(), freePort()];
    const addresses = `http://127.0.0.1:${port},127.0.0.1:${secure}`;
    await using tracker = await startTracker({
      env: {
        TRACKER_TLS_CERT_FILE: cert,
        TRACKER_TLS_KEY_FILE: key,
        TRACKER_HTTP_ADDRESS: addresses,
      },
      port,
    });
    const kept = connect({ host: "127.0.0.1", port: secure, rejectUnauthorized: false });
    expect(await health(kept)).toStartWith("HTTP/1.1 200 OK");
    const filesBefore = openFiles(tracker.pid);
    let made = 0;
    let reloads = 0;
    const lost: unknown[] = [];
    const lane = async () => {
      while (made < CONNECTIONS || reloads < RELOADS) {
        made += 1;
        await askOnce(secure).catch((error) => lost.push(error));
      }
    };
    const lanes = Promise.all(Array.from({ length: LANES }, lane));
    while (reloads < RELOADS) {
      install(reloads + 1);
      await reload(tracker, reloads + 1);
      reloads += 1;
      const name = reloads % 2 === 0 ? "odd.example" : "even.example";
      expect(await shownName(secure)).toBe(name);
      // Spread over the connections, however fast either is.
      while (made < (reloads / RELOADS) * CONNECTIONS) await Bun.sleep(1);
    }
    await lanes;
    expect(lost).toEqual([]);
    expect(await health(kept)).toStartWith("HTTP/1.1 200 OK");
    kept.destroy();
    await Bun.sleep(100);
    expect(openFiles(tracker.pid)).toBeLessThanOrEqual(filesBefore);
  }, 60_000);

  test("without a certificate is an error with exit code 78", async () => {
    const tracker = startProcess({ env: { TRACKER_HTTP_ADDRESS: "https://127.0.0.1:1" } });
    expect(await tracker.exited()).toBe(78);
    expect(tracker.stderr).toContain("needs a certificate: set TRACKER_TLS_CERT_FILE");
  });
});

describe.if(process.getuid?.() === 0)("TRACKER_USER", () => {
  test("runs the process after the addresses are bound", async () => {
    await using tracker = await startTracker({ env: { TRACKER_USER: "nobody" } });
    const status = readFileSync(`/proc/${tracker.pid}/status`, "utf8");
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(status).toMatch(/^Groups:\t65534 $/m);
  });

  test("refuses to stay root", async () => {
    const tracker = startProcess({ env: { TRACKER_USER: "root" } });
    expect(await tracker.exited()).toBe(78);
    expect(tracker.stderr).toContain('TRACKER_USER is "root", which is root');
  });

  test("is foreseen by check as root: what that user may not read or write", async () => {
    const folder = mkdtempSync(join(directory, "roots-"));
    const [denyFile, snapshot] = [join(folder, "deny"), join(folder, "swarms")];
    writeFileSync(denyFile, "", { mode: 0o400 });
    const env = {
      TRACKER_USER: "nobody",
      TRACKER_DENY_FILE: denyFile,
      TRACKER_ADMIN_TOKEN: "correct-horse-battery-staple",
      TRACKER_SNAPSHOT_FILE: snapshot,
    };
    const checked = startProcess({ args: ["check"], env });
    expect(await checked.exited()).toBe(0);
    const owned = 'put it into a folder of its own, and let the user "nobody" own both';
    expect(checked.stderr.split("\n")).toEqual(
      expect.arrayContaining(
        [
          `a file cannot be read again on SIGHUP (file ${denyFile}): ` +
            'let the user "nobody" read it and search the folders above it',
          `a list cannot be changed while the tracker runs (file ${denyFile}): ${owned}`,
          `the swarms cannot be kept over a restart (file ${snapshot}): ` +
            'let the user "nobody" write to its folder',
        ].map((warning) => `buntracker: warning: ${warning}`),
      ),
    );
  });
});

/** Runs what follows as a user without any right. */
const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const becomesNobody = Bun.spawnSync(["sh", "-c", `${AS_NOBODY.join(" ")} true`]).exitCode === 0;

describe.if(becomesNobody)("check by a user without rights", () => {
  const told = async (env: Record<string, string>): Promise<string> => {
    const checked = startProcess({ through: AS_NOBODY, args: ["check"], env });
    expect(await checked.exited()).toBe(0);
    return checked.stderr;
  };

  test("foresees that it may not bind ports below 1024", async () => {
    const stderr = await told({
      TRACKER_UDP_ADDRESS: "127.0.0.1:1024,127.0.0.1:0",
      TRACKER_HTTP_ADDRESS: "127.0.0.1:79",
    });
    expect(stderr.split("\n").filter((line) => line.includes("permission"))).toEqual([
      "buntracker: warning: if started from here, no permission for http port 79 " +
        "(127.0.0.1:79): ports below 1024 need CAP_NET_BIND_SERVICE; " +
        "or set TRACKER_HTTP_ADDRESS to a higher port",
    ]);
  });

  test("foresees that it may not become another one", async () => {
    expect(await told({ TRACKER_USER: "daemon" })).toContain(
      'warning: if started from here, not permitted to become the user "daemon": only root can',
    );
  });
});
