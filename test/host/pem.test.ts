/** Certificates and keys that are damaged, mixed up or something else. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificateProblem, keyProblem, pairProblems } from "../../src/host/pem.ts";
import { makeCertificate } from "../http/openssl.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-pem-"));
afterAll(() => rmSync(folder, { recursive: true }));

const asCertificate = (text: string) => ({ variable: "CERT", file: "/c", text });
const asKey = (text: string) => ({ variable: "KEY", file: "/k", text });

describe.skipIf(!makeCertificate.possible)("PEM (openssl)", () => {
  let [cert, key, other, otherKey] = ["", "", "", ""];
  beforeAll(() => {
    const files = ["one", "two"].map((name) => makeCertificate(folder, name));
    [cert, other] = files.map((pair) => readFileSync(pair.cert, "utf8"));
    [key, otherKey] = files.map((pair) => readFileSync(pair.key, "utf8"));
  });
  const damaged = (pem: string) => pem.replace(/\n[A-Za-z0-9+/]{20}/, `\n${"#".repeat(20)}`);
  const cut = (pem: string) => pem.slice(0, 100);

  test("certificates may be several, with words between them and ends of lines of Windows", () => {
    for (const text of [cert, `# ours\n${cert}\nand\n${other}`, cert.replaceAll("\n", "\r\n")]) {
      expect(certificateProblem(asCertificate(text))).toBeUndefined();
    }
  });

  test("a certificate that is damaged is told, whichever of the chain it is", () => {
    for (const [text, problem] of [
      ["", "which is empty"],
      ["words", "which holds no certificate as PEM"],
      [key, "which holds no certificate as PEM"],
      [damaged(cert), "in which the certificate is damaged"],
      [cut(cert), "in which the certificate is damaged"],
      [cert + damaged(other), "in which certificate 2 is damaged"],
      [cert + cut(other), "in which certificate 2 is damaged"],
    ]) {
      const found = certificateProblem(asCertificate(text));
      expect([found?.message, found?.exitCode]).toEqual([`CERT is /c, ${problem}`, 78]);
    }
  });

  test("a key that is damaged, or has a passphrase, is told", () => {
    const locked = Bun.spawnSync(["openssl", "pkey", "-aes256", "-passout", "pass:secret"], {
      stdin: Buffer.from(key),
    }).stdout.toString();
    for (const [text, problem] of [
      [" \n", "which is empty"],
      [cert, "which holds no private key as PEM"],
      [damaged(key), "in which the private key is damaged"],
      [cut(key), "in which the private key is damaged"],
      [locked, "whose private key has a passphrase"],
    ]) {
      expect(keyProblem(asKey(text))?.message).toBe(`KEY is /k, ${problem}`);
    }
    expect(keyProblem(asKey(key))).toBeUndefined();
  });

  test("a key must be that of the first certificate", () => {
    const problems = (chain: string, own: string) =>
      pairProblems(asCertificate(chain), asKey(own)).map(({ message }) => message);
    expect(problems(cert + other, key)).toEqual([]);
    expect(problems(cert + other, otherKey)).toEqual([
      "KEY is /k, which is not the key of the first certificate in /c",
    ]);
    expect(problems("", "")).toHaveLength(2);
  });
});
