/** All files and names in the settings are checked. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { readConfig } from "../../src/config/config.ts";
import { examine } from "../../src/start/examine.ts";
import { foresee } from "../../src/start/foresee.ts";
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

test("a snapshot that cannot be written is a mistake, one not read a warning", async () => {
  const lost = join(folder, "no", "swarms");
  const { problems } = await examine({ snapshotFile: lost });
  expect(problems.map(({ message }) => message)).toEqual([
    `TRACKER_SNAPSHOT_FILE is ${lost}, whose folder does not exist`,
  ]);
  const foreign = fileOf("swarms", "hello");
  const { problems: none, warnings } = await examine({ snapshotFile: foreign });
  expect([none.length, warnings.length]).toEqual([0, 1]);
  expect(warnings[0]).toStartWith(`the snapshot would not be used: ${foreign} is no snapshot`);
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
    `TRACKER_DENY_FILE is ${missing}, which is not there`,
    `TRACKER_ALLOW_FILE is ${folder}, which cannot be read (not a file)`,
    `TRACKER_DENY_NETWORKS_FILE is ${missing}, which is not there`,
    expect.stringMatching(/^TRACKER_RULES_FILE .*bad-rules: line 1 has no condition/),
    `TRACKER_TLS_CERT_FILE is ${missing}, which is not there`,
    `TRACKER_TLS_KEY_FILE is ${missing}, which is not there`,
    `the state file ${missing} is not there`,
  ]);
  for (const { hint, exitCode } of problems) {
    expect(hint).toMatch(/^[a-z].{10}/);
    expect(exitCode).toBe(78);
  }
});

test.if(process.platform === "linux")("addresses that the machine lacks are problems", async () => {
  const { problems } = await examine({
    udpListeners: [
      { host: "127.0.0.7", port: 6969 },
      { host: "203.0.113.9", port: 6969 },
    ],
    httpListeners: [{ host: "fe80::1%nowhere0", port: 80, tls: undefined }],
    adminListeners: [{ host: "203.0.113.9", port: 6970 }],
  });
  expect(problems.map(({ message }) => message)).toEqual([
    "this machine does not have the address 203.0.113.9:6969",
    "this machine has no interface nowhere0, which [fe80::1%nowhere0]:80 names",
    "this machine does not have the address 203.0.113.9:6970",
  ]);
  expect(problems[0].hint).toBe("see ip addr, or set TRACKER_UDP_ADDRESS to 0.0.0.0:6969");
});

/** The addresses on a machine without IPv6: problems of the check, and warnings of the start. */
async function withoutIpv6(env: Record<string, string>) {
  const reading = readConfig(env);
  if ("problems" in reading) throw new Error(reading.problems.join("; "));
  const { config, origins } = reading;
  const { problems } = await examine(config, origins, false);
  const warnings = foresee(config, origins, false);
  return {
    problems: problems.map(({ message, hint, exitCode }) => [exitCode, message, hint]),
    warnings: warnings.filter((warning) => warning.includes("IPv6")),
  };
}

describe("on a machine without IPv6", () => {
  test("addresses that were asked for are problems, one for each setting", async () => {
    const env = {
      TRACKER_UDP_ADDRESS: "[::]:7000",
      TRACKER_HTTP_ADDRESS: "127.0.0.1:7000,[2001:db8::1]:7000",
      TRACKER_ADMIN_ADDRESS: "[::1]:6970",
    };
    const none = (address: string) => `this machine has no IPv6, so ${address} cannot be bound`;
    expect(await withoutIpv6(env)).toEqual({
      problems: [
        [78, none("[::]:7000"), "set TRACKER_UDP_ADDRESS to 0.0.0.0:7000"],
        [78, none("[2001:db8::1]:7000"), "leave it out of TRACKER_HTTP_ADDRESS"],
        [78, none("[::1]:6970"), "set TRACKER_ADMIN_ADDRESS to 127.0.0.1:6970"],
      ],
      warnings: [],
    });
  });

  test("an address for HTTP keeps its scheme in the remedy", async () => {
    const { problems } = await withoutIpv6({ TRACKER_HTTP_ADDRESS: "http://[::]:80" });
    expect(problems.map(([, , hint]) => hint)).toEqual([
      "set TRACKER_HTTP_ADDRESS to http://0.0.0.0:80",
    ]);
  });

  test("the default addresses are a warning, since IPv4 takes their place", async () => {
    const sentence = (variables: string) =>
      "this machine has no IPv6: clients are answered over IPv4 only: " +
      `enable IPv6, or set ${variables} to 0.0.0.0:6969 if this is meant`;
    expect(await withoutIpv6({})).toEqual({
      problems: [],
      warnings: [sentence("TRACKER_UDP_ADDRESS and TRACKER_HTTP_ADDRESS")],
    });
    expect((await withoutIpv6({ TRACKER_UDP_ADDRESS: "0.0.0.0:6969" })).warnings).toEqual([
      sentence("TRACKER_HTTP_ADDRESS"),
    ]);
    for (const udp of ["", "127.0.0.1:7000", "127.0.0.1:7000,127.0.0.2:7000"]) {
      expect((await withoutIpv6({ TRACKER_UDP_ADDRESS: udp })).warnings).toEqual([
        sentence("TRACKER_HTTP_ADDRESS"),
      ]);
    }
    const ipv4 = { TRACKER_UDP_ADDRESS: "0.0.0.0:6969", TRACKER_HTTP_ADDRESS: "0.0.0.0:6969" };
    expect(await withoutIpv6(ipv4)).toEqual({ problems: [], warnings: [] });
  });
});

test("more sockets than systemd keeps over a restart are a warning", async () => {
  const listeners = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      ...{ host: "127.0.0.1", port: index + 1, tls: undefined },
    }));
  const warnings = async (addresses: number) => {
    const web = { httpListeners: listeners(0), httpWorkers: 0, adminListeners: listeners(0) };
    return (await examine({ udpListeners: listeners(addresses), udpWorkers: 64, ...web })).warnings;
  };
  expect(await warnings(8)).toEqual([]);
  const told =
    "need 576 sockets, and systemd keeps 512 over a restart: set FileDescriptorStoreMax=576";
  const expected = process.platform === "linux" ? [expect.stringContaining(told)] : [];
  expect(await warnings(9)).toEqual(expected);
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
