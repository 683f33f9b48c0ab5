/** The description of the packages: it agrees with the tree, and with what archives hold. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { ARCHIVE, PACKAGE, removeEarlier, writeChecksums } from "../../scripts/checksums.ts";
import {
  contentsOfFreebsd,
  description,
  documentsOf,
  MACHINES,
  manifestsOfFreebsd,
  rcScriptOfPackage,
  unitOfPackage,
} from "../../scripts/packages.ts";
import { archiveName, TARGETS } from "../../scripts/release.ts";

const ROOT = resolve(import.meta.dir, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const { contents } = description();

describe("the description of the packages", () => {
  test("names files that exist, or that are made", () => {
    const made = ["buntracker.8.gz", "buntracker.rc", "buntracker.service", "documents"];
    for (const { src } of contents) {
      const isMade = src === "${PROGRAM}" || made.includes(src.replace("made/", ""));
      expect(`${src} ${isMade || existsSync(join(ROOT, src))}`).toBe(`${src} true`);
    }
  });

  test("gives every file its rights, whatever the umask of the place", () => {
    const loose = contents.filter(({ type, file_info }) => type !== "tree" && !file_info?.mode);
    expect(loose).toEqual([]);
  });

  test("keeps the settings over an upgrade, readable by root alone", () => {
    const settings = contents.find(({ dst }) => dst === "/etc/buntracker/buntracker.env")!;
    expect(settings.type).toBe("config|noreplace");
    expect(settings.file_info!.mode).toBe(0o640);
  });

  test("puts no file where the kernel's settings are applied from", () => {
    expect(contents.filter(({ dst }) => /sysctl/.test(dst))).toEqual([]);
    expect(documentsOf("linux-x64")).toContain("dist/sysctl/60-buntracker.conf");
    expect(documentsOf("freebsd-x64")).toContain("dist/freebsd/sysctl.conf");
  });

  test("has the documents of the archives, but no file twice", () => {
    for (const target of TARGETS) {
      expect(documentsOf(target)).toContain("docs/operating.md");
      expect(documentsOf(target).filter((path) => /systemd|openrc|\bman\b/.test(path))).toEqual([]);
    }
  });

  test("starts every service by a script of its format", () => {
    for (const packager of ["deb", "rpm", "archlinux"]) {
      const places = contents.filter((content) => content.packager === packager);
      expect(places.map(({ dst }) => dst)).toContain("/usr/lib/systemd/system/buntracker.service");
    }
    expect(
      contents.find(({ packager, dst }) => packager === "apk" && /init\.d/.test(dst)),
    ).toBeDefined();
  });

  test("is made for the processors that the Makefile names", () => {
    expect(/^MACHINES := (.*)$/m.exec(read("Makefile"))![1].split(" ")).toEqual([...MACHINES]);
  });
});

describe("the unit of a package", () => {
  const unit = read("dist/systemd/buntracker.service");

  test("is that of the archives, except for the path and a user that the package makes", () => {
    const [from, to] = [unit, unitOfPackage(unit)].map((text) =>
      text.split("\n").filter((line) => !line.startsWith("#")),
    );
    expect(from.filter((line) => !to.includes(line))).toEqual([
      "ExecStart=/usr/local/bin/buntracker",
      "DynamicUser=yes",
    ]);
    expect(to.filter((line) => !from.includes(line))).toEqual([
      "ExecStart=/usr/bin/buntracker",
      "User=buntracker",
      "Group=buntracker",
    ]);
  });

  test("names each protection that DynamicUser= implies", () => {
    const implied = ["RemoveIPC", "PrivateTmp", "NoNewPrivileges", "RestrictSUIDSGID"];
    for (const name of implied) expect(unitOfPackage(unit)).toContain(`\n${name}=yes\n`);
    expect(unitOfPackage(unit)).toContain("\nProtectSystem=strict\n");
    expect(unitOfPackage(unit)).toContain("\nProtectHome=yes\n");
  });

  test("is refused where the file has changed so that it would not be right", () => {
    expect(() => unitOfPackage(unit.replace("DynamicUser=yes", "DynamicUser=1"))).toThrow(
      "nothing in the file matches",
    );
  });
});

describe("the package of FreeBSD", () => {
  test("has what the others have, below /usr/local, and its own files", () => {
    const places = contentsOfFreebsd(contents).map(({ dst }) => dst);
    expect(places.filter((place) => !place.startsWith("/usr/local/"))).toEqual([]);
    expect(places).toContain("/usr/local/bin/buntracker");
    expect(places).toContain("/usr/local/etc/rc.d/buntracker");
    expect(places).toContain("/usr/local/share/man/man8/buntracker.8.gz");
    expect(new Set(places).size).toBe(places.length);
  });

  test("runs the tracker as a user that it makes, and says so", () => {
    const script = rcScriptOfPackage(read("dist/freebsd/buntracker"));
    expect(script).toContain(': "${buntracker_run_as:=buntracker}"');
    expect(script).toContain('#   buntracker_run_as="buntracker"');
    expect(script).not.toContain("nobody");
  });

  test("names each file by its checksum in the whole manifest alone", () => {
    const file = { path: "/usr/local/bin/x", bytes: new Uint8Array([1]), mode: 0o755 };
    const [short, whole] = manifestsOfFreebsd([file], "arm64", "1.2.3") as Record<
      string,
      unknown
    >[];
    expect(short["abi"]).toBe("FreeBSD:14:aarch64");
    expect(short["files"]).toBeUndefined();
    expect(whole["files"]).toEqual({
      "/usr/local/bin/x": `1$${Bun.SHA256.hash(file.bytes, "hex")}`,
    });
  });
});

describe("the checksums", () => {
  const names = [
    "buntracker_1.2.3_amd64.deb",
    "buntracker-1.2.3-1.x86_64.rpm",
    "buntracker_1.2.3_aarch64.apk",
    "buntracker-1.2.3-1-x86_64.pkg.tar.zst",
    "buntracker-1.2.3-freebsd-x64.pkg",
  ];

  test("are those of all archives and packages in the folder, as sha256sum reads them", () => {
    const folder = mkdtempSync(join(tmpdir(), "checksums-"));
    const archives = TARGETS.map((target) => archiveName(target, "1.2.3"));
    for (const name of [...names, ...archives, "buntracker", "main.js.map"]) {
      writeFileSync(join(folder, name), name);
    }
    writeChecksums(folder);
    const lines = readFileSync(join(folder, "SHA256SUMS"), "utf8").trimEnd().split("\n");
    expect(lines.map((line) => line.slice(66))).toEqual([...names, ...archives].sort());
    const { exitCode } = Bun.spawnSync(["sha256sum", "--check", "SHA256SUMS"], { cwd: folder });
    expect(exitCode).toBe(0);

    removeEarlier(folder, PACKAGE);
    writeChecksums(folder);
    const after = readFileSync(join(folder, "SHA256SUMS"), "utf8").trimEnd().split("\n");
    expect(after.map((line) => line.slice(66))).toEqual(archives.sort());
    rmSync(folder, { recursive: true });
  });

  test("take no archive for a package, nor the other way round", () => {
    for (const target of TARGETS) {
      expect(ARCHIVE.test(archiveName(target, "1.2.3"))).toBe(true);
      expect(PACKAGE.test(archiveName(target, "1.2.3"))).toBe(false);
    }
    for (const name of names)
      expect([ARCHIVE.test(name), PACKAGE.test(name)]).toEqual([false, true]);
  });
});
