/** The user of the installed unit, and the check that this user can read what the start reads. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serviceUser } from "../../src/start/service-user.ts";
import { makeCertificate } from "../http/openssl.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-service-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A folder of units with this one, and a drop-in if one is given. */
function unitFolder(name: string, unit: string, dropIn?: string): string {
  const units = join(folder, name);
  mkdirSync(join(units, "buntracker.service.d"), { recursive: true });
  writeFileSync(join(units, "buntracker.service"), `[Service]\n${unit}\n`);
  if (dropIn !== undefined) {
    writeFileSync(join(units, "buntracker.service.d", "own.conf"), `[Service]\n${dropIn}\n`);
  }
  return units;
}

describe("the user of the service", () => {
  test("is that of the unit, or of its drop-in", () => {
    const named = unitFolder("named", "User=buntracker");
    expect(serviceUser([named])).toEqual({
      name: "buntracker",
      shown: 'the service\'s user "buntracker"',
    });
    const other = unitFolder("other", "User=buntracker", "User=tracker");
    expect(serviceUser([other])?.name).toBe("tracker");
  });

  test("that systemd makes for the run reads what nobody can", () => {
    const dynamic = unitFolder("dynamic", "DynamicUser=yes");
    expect(serviceUser([dynamic])).toEqual({
      name: "nobody",
      shown: "the user that systemd makes for the service",
    });
  });

  test("is not known without a unit, and is no matter for root", () => {
    expect(serviceUser([join(folder, "none")])).toBeUndefined();
    expect(serviceUser([unitFolder("root", "User=root")])).toBeUndefined();
    expect(serviceUser([unitFolder("plain", "Type=notify")])).toBeUndefined();
  });

  test("is that of the last folder with the unit", () => {
    const [vendor, own] = [unitFolder("vendor", "User=a"), unitFolder("own", "User=b")];
    expect(serviceUser([vendor, own, join(folder, "none")])?.name).toBe("b");
  });

  test("of the unit here is one that systemd makes", () => {
    expect(serviceUser([join(import.meta.dir, "../../dist/systemd")])?.name).toBe("nobody");
  });
});

const possible = makeCertificate.possible && process.getuid?.() === 0;

test.if(possible)("check says which file the service cannot read, and what helps", () => {
  const { cert, key } = makeCertificate(folder, "served", 3);
  chmodSync(folder, 0o755);
  chmodSync(cert, 0o644);
  chmodSync(key, 0o600);
  const password = join(folder, "nats-password");
  writeFileSync(password, "secret\n", { mode: 0o600 });
  const modules = join(import.meta.dir, "../../src");
  const script = `
    import { readConfig } from "${modules}/config/config.ts";
    import { foresee } from "${modules}/start/foresee.ts";
    const { config, origins } = readConfig(${JSON.stringify({
      TRACKER_TLS_CERT_FILE: cert,
      TRACKER_TLS_KEY_FILE: key,
      TRACKER_CLUSTER_USER: "u",
      TRACKER_CLUSTER_PASSWORD_FILE: password,
    })});
    const service = { name: process.argv.at(-1), shown: "the service" };
    const warnings = foresee(config, origins, true, service);
    console.log(warnings.filter((one) => /the service|expires/.test(one)).join("\\n"));
  `;
  const foreseen = (user: string) => {
    const { stdout } = Bun.spawnSync([process.execPath, "-e", script, user]);
    return stdout.toString().trimEnd().split("\n");
  };
  expect(foreseen("no-such-user").at(-1)).toBe(
    'systemd starts the service as "no-such-user", and there is no such user: create it',
  );
  expect(foreseen("nobody")).toEqual([
    expect.stringMatching(
      /^the certificate expires soon.* \(expires .*Z, days_left 2\): renew it, /,
    ),
    `the service cannot read TRACKER_TLS_KEY_FILE, ${key}: let systemd hand it over with ` +
      "LoadCredential in the unit, or let certbot's deploy hook copy it for that user: see " +
      '"Certificates" in docs/operating.md',
    `the service cannot read TRACKER_CLUSTER_PASSWORD_FILE, ${password}: let its group read it ` +
      "(chgrp and chmod 640), and search the folders above it",
  ]);
});
