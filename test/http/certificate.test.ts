import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCertificate } from "../../src/http/certificate.ts";
import { makeCertificate } from "./openssl.ts";

const directory = mkdtempSync(join(tmpdir(), "buntracker-certificate-"));
afterAll(() => rmSync(directory, { recursive: true }));

describe("the certificate of HTTPS", () => {
  test("is none if none is configured", () => {
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

  test("that cannot be read is named", () => {
    const missing = join(directory, "missing.pem");
    expect(() => readCertificate(missing, missing)).toThrow(`cannot read ${missing} (ENOENT)`);
  });

  test("that is no certificate is refused", () => {
    const file = join(directory, "words.pem");
    writeFileSync(file, "not a certificate\n");
    expect(() => readCertificate(file, file)).toThrow("cannot be used together");
  });
});
