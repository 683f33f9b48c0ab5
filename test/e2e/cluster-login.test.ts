/** Files of a cluster's login: one that is wrong ends the start, and `check` says it too. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../http/openssl.ts";
import { startProcess } from "./harness.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-login-"));
afterAll(() => rmSync(folder, { recursive: true }));

const URL = { TRACKER_CLUSTER_URL: "tls://127.0.0.1:1" };

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
