import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCertificate, renewAll, tryCertificate } from "../../src/http/certificate.ts";
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
    expect(() => readCertificate(one.cert, two.key)).toThrow("cannot be used together");
  });

  test("with an unreadable file names the file", () => {
    const missing = join(directory, "missing.pem");
    expect(() => readCertificate(missing, missing)).toThrow(
      `TRACKER_TLS_CERT_FILE is ${missing}, which cannot be read (ENOENT)`,
    );
  });

  test("with two unreadable files has two errors", () => {
    const [one, two] = [join(directory, "one.pem"), join(directory, "two.pem")];
    const problems = tryCertificate(one, two) as Error[];
    expect(problems.map(({ message }) => message)).toEqual([
      `TRACKER_TLS_CERT_FILE is ${one}, which cannot be read (ENOENT)`,
      `TRACKER_TLS_KEY_FILE is ${two}, which cannot be read (ENOENT)`,
    ]);
  });

  test.if(makeCertificate.possible)("is refused if a file is empty, which it names", () => {
    const { cert, key } = makeCertificate(directory, "filled");
    const empty = join(directory, "empty.pem");
    writeFileSync(empty, "");
    for (const [one, two] of [
      [empty, key],
      [cert, empty],
      [empty, empty],
    ] as const) {
      const [problem] = tryCertificate(one, two) as StartError[];
      expect(problem!.message).toBe(
        `${one} and ${two} cannot be used together (${empty} is empty)`,
      );
      expect(problem!.hint).toContain("the certificate chain");
      expect(problem!.exitCode).toBe(78);
    }
  });

  test("is refused if a file is not a certificate", () => {
    const file = join(directory, "words.pem");
    writeFileSync(file, "not a certificate\n");
    expect(() => readCertificate(file, file)).toThrow("cannot be used together");
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
