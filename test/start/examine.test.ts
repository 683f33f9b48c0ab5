/** All files and names in the settings are checked. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { examine } from "../../src/start/examine.ts";
import { makeCertificate } from "../http/openssl.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-examine-"));
afterAll(() => rmSync(folder, { recursive: true }));

const HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";

function fileOf(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test("settings that name nothing have no problems", async () => {
  expect(await examine({})).toEqual({ problems: [], warnings: [] });
});

test("valid files have no problems", async () => {
  const files = {
    denyFile: fileOf("deny", `${HASH}\n`),
    allowFile: fileOf("allow", ""),
    denyNetworksFile: fileOf("networks", "192.0.2.0/24\n"),
    rulesFile: fileOf("rules", "drop port=1\n"),
    stateImport: fileOf("state", `${HASH}:1:1\n`),
    user: "nobody",
  };
  expect(await examine(files)).toEqual({ problems: [], warnings: [] });
});

test.if(makeCertificate.possible)("a certificate with its key has no problems", async () => {
  const { cert, key } = makeCertificate(folder, "examined.example");
  expect((await examine({ tlsCertFile: cert, tlsKeyFile: key })).problems).toEqual([]);
});

test("every mistake is reported with a remedy, and no mistake hides another", async () => {
  const missing = join(folder, "missing");
  const { problems } = await examine({
    user: "no-such-user",
    denyFile: missing,
    allowFile: folder,
    denyNetworksFile: missing,
    rulesFile: fileOf("bad-rules", "drop\n"),
    tlsCertFile: missing,
    tlsKeyFile: missing,
    stateImport: missing,
  });
  expect(problems.map(({ message }) => message)).toEqual([
    'TRACKER_USER is "no-such-user", and there is no such user',
    `TRACKER_DENY_FILE is ${missing}, which cannot be read (ENOENT)`,
    `TRACKER_ALLOW_FILE is ${folder}, which cannot be read (not a file)`,
    `TRACKER_DENY_NETWORKS_FILE is ${missing}, which cannot be read (ENOENT)`,
    expect.stringMatching(/^TRACKER_RULES_FILE .*bad-rules: line 1 has no condition/),
    `TRACKER_TLS_CERT_FILE is ${missing}, which cannot be read (ENOENT)`,
    `TRACKER_TLS_KEY_FILE is ${missing}, which cannot be read (ENOENT)`,
    `the state file ${missing} cannot be read: ENOENT`,
  ]);
  for (const { hint, exitCode } of problems) {
    expect(hint).toMatch(/^[a-z].{10}/);
    expect(exitCode).toBe(78);
  }
});

test("a setting that lets strangers claim addresses is a warning", async () => {
  const { problems, warnings } = await examine({ allowIpParameter: true });
  expect(problems).toEqual([]);
  expect(warnings).toEqual([expect.stringMatching(/^clients may announce addresses that are not/)]);
  expect(warnings[0]).toContain("TRACKER_ALLOW_IP_PARAMETER=no");
  expect((await examine({ allowIpParameter: false })).warnings).toEqual([]);
});

test("lines that would be skipped are warnings", async () => {
  const denyFile = fileOf("bad-deny", `x\n${HASH}\ny\n`);
  const denyNetworksFile = fileOf("bad-networks", `${"x\n".repeat(9)}192.0.2.0/24\n`);
  const stateImport = fileOf("bad-state", `x\n${HASH}:1:1\n`);
  expect(await examine({ denyFile, denyNetworksFile, stateImport })).toEqual({
    problems: [],
    warnings: [
      `${denyFile} has lines that will be skipped: 2, namely 1 3`,
      `${denyNetworksFile} has lines that will be skipped: 9, namely 1 2 3 4 5 …`,
      `${stateImport} has bad lines, which will be skipped: 1`,
    ],
  });
});

test("files with bad lines only are problems, as for the start", async () => {
  const page = fileOf("page", "<html>\nnot found\n</html>\n");
  const { problems, warnings } = await examine({
    denyFile: page,
    denyNetworksFile: page,
    stateImport: page,
  });
  expect(warnings).toEqual([]);
  expect(problems.map(({ message }) => message)).toEqual([
    `TRACKER_DENY_FILE is ${page}, which has bad lines only: 3, namely 1 2 3`,
    `TRACKER_DENY_NETWORKS_FILE is ${page}, which has bad lines only: 3, namely 1 2 3`,
    `the state file ${page} has bad lines only: 3, namely 1 2 3`,
  ]);
});
