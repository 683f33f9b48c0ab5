import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  answerPlainHttp,
  readCertificate,
  renewAll,
  tryCertificate,
} from "../../src/http/certificate.ts";
import type { StartError } from "../../src/host/start-error.ts";
import { makeCertificate } from "./openssl.ts";

const directory = mkdtempSync(join(tmpdir(), "buntracker-certificate-"));
afterAll(() => rmSync(directory, { recursive: true }));

describe("the certificate of HTTPS", () => {
  test("is undefined if no files are configured", () => {
    expect(readCertificate(undefined, undefined)).toBeUndefined();
  });

  test.if(makeCertificate.possible)("is read from its two files", () => {
    const { cert, key } = makeCertificate(directory, "one");
    expect(readCertificate(cert, key)?.cert).toStartWith("-----BEGIN CERTIFICATE-----");
  });

  test.if(makeCertificate.possible)("must belong to its key", () => {
    const one = makeCertificate(directory, "first");
    const two = makeCertificate(directory, "second");
    expect(() => readCertificate(one.cert, two.key)).toThrow(
      `${two.key}, which is not the key of the first certificate in ${one.cert}`,
    );
  });

  test("whose file is missing names the file", () => {
    const missing = join(directory, "missing.pem");
    expect(() => readCertificate(missing, missing)).toThrow(
      `TRACKER_TLS_CERT_FILE is ${missing}, which is not there`,
    );
  });

  test("whose two files are missing has two errors", () => {
    const [one, two] = [join(directory, "one.pem"), join(directory, "two.pem")];
    const problems = tryCertificate(one, two) as Error[];
    expect(problems.map(({ message }) => message)).toEqual([
      `TRACKER_TLS_CERT_FILE is ${one}, which is not there`,
      `TRACKER_TLS_KEY_FILE is ${two}, which is not there`,
    ]);
  });

  test.if(makeCertificate.possible)("is refused if a file is empty, which it names", () => {
    const { cert, key } = makeCertificate(directory, "filled");
    const empty = join(directory, "empty.pem");
    writeFileSync(empty, "");
    const cases: [string, string, string[]][] = [
      [empty, key, ["CERT"]],
      [cert, empty, ["KEY"]],
      [empty, empty, ["CERT", "KEY"]],
    ];
    for (const [one, two, named] of cases) {
      const problems = tryCertificate(one, two) as StartError[];
      expect(problems.map(({ message }) => message)).toEqual(
        named.map((which) => `TRACKER_TLS_${which}_FILE is ${empty}, which is empty`),
      );
      expect(problems[0].hint).toContain("as PEM");
      expect(problems[0].exitCode).toBe(78);
    }
  });

  test.if(makeCertificate.possible)("expires when the first one of its chain does", () => {
    const days = (file: string, key: string) =>
      (readCertificate(file, key)!.expiresSeconds! - Date.now() / 1000) / 86_400;
    const long = makeCertificate(directory, "long", 90);
    expect(days(long.cert, long.key)).toBeCloseTo(90, 1);
    const short = makeCertificate(directory, "short", 3);
    const chain = join(directory, "chain.pem");
    writeFileSync(chain, readFileSync(long.cert, "utf8") + readFileSync(short.cert, "utf8"));
    expect(days(chain, long.key)).toBeCloseTo(3, 1);
  });

  test("that systemd hands over is there only while the service runs", () => {
    const file = "/run/credentials/no-such.service/tls.key";
    const [problem] = tryCertificate(file, file) as StartError[];
    expect(problem!.hint).toBe("it is there while the service runs, with LoadCredential");
  });

  test.if(process.getuid?.() === 0)("says how a user gets it who may not read it", () => {
    const file = join(directory, "secret.pem");
    writeFileSync(file, "x", { mode: 0o600 });
    const module = JSON.stringify(join(import.meta.dir, "../../src/http/certificate.ts"));
    const script = `
      import { tryCertificate } from ${module};
      process.setuid(65534);
      console.log(tryCertificate(${JSON.stringify(file)}, "/nowhere").map(({ hint }) => hint)[0]);
    `;
    const { stdout } = Bun.spawnSync([process.execPath, "-e", script]);
    expect(stdout.toString()).toContain("LoadCredential in the unit, or let certbot's deploy hook");
  });

  test("is refused if a file is not a certificate", () => {
    const file = join(directory, "words.pem");
    writeFileSync(file, "not a certificate\n");
    expect(() => readCertificate(file, file)).toThrow(
      `TRACKER_TLS_CERT_FILE is ${file}, which holds no certificate as PEM`,
    );
  });
});

describe("plain HTTP to an HTTPS address", () => {
  const failed = (reason: string) =>
    new Error(`error:1000009c:SSL routines:OPENSSL_internal:${reason}`);

  test("is answered beneath TLS, as a failure of an announce", () => {
    const sent: string[] = [];
    const libc = {
      sendBytes: (fd: number, bytes: Uint8Array) => {
        sent.push(`${fd} ${Buffer.from(bytes).toString("latin1")}`);
      },
    };
    expect(answerPlainHttp(libc, 7, failed("HTTP_REQUEST"))).toBe(true);
    expect(sent).toEqual([expect.stringMatching(/^7 HTTP\/1\.1 400 This port speaks HTTPS\r\n/)]);
    const [head, body] = sent[0]!.split("\r\n\r\n");
    expect(body).toMatch(/^d14:failure reason\d\d:this port speaks HTTPS: begin the URL with/);
    expect(head).toContain(`\r\nContent-Length: ${body!.length}\r\n`);
    const said = /^d14:failure reason(\d+):(.*)e$/.exec(body!)!;
    expect(said[2]!.length).toBe(Number(said[1]));
  });

  test("and nothing else is, nor without a way to send", () => {
    const libc = { sendBytes: () => expect.unreachable() };
    expect(answerPlainHttp(libc, 7, failed("WRONG_VERSION_NUMBER"))).toBe(false);
    expect(answerPlainHttp(libc, 7, null)).toBe(false);
    expect(answerPlainHttp(libc, undefined, failed("HTTP_REQUEST"))).toBe(false);
    expect(answerPlainHttp(undefined, 7, failed("HTTP_REQUEST"))).toBe(false);
  });
});

test("a renewal that one listener refuses leaves all of them the old certificate", () => {
  const [old, fresh] = ["old", "fresh"].map((text) => ({ cert: text, key: text }));
  const used = ["old", "old", "old"];
  const listeners = used.map((_, at) => ({
    renew({ cert }: { cert: string }) {
      if (at === 1 && cert === "fresh") throw new Error("no file is left");
      used[at] = cert;
    },
  }));
  expect(() => renewAll(listeners, fresh!, old)).toThrow("no file is left");
  expect(used).toEqual(["old", "old", "old"]);
  renewAll([listeners[0]!, listeners[2]!], fresh!, old);
  expect(used).toEqual(["fresh", "old", "fresh"]);
});
