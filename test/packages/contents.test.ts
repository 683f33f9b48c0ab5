/**
 * The packages for Alpine and FreeBSD, whose programs are not to be had here: nothing installs
 * them. What is in them is compared with their own lists, and their scripts are read.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { gunzipSync, zstdDecompressSync } from "node:zlib";

import { targetOf } from "../../scripts/executables.ts";
import { packageOf, PACKAGES, run } from "./installed.ts";

/** A file in a tar archive. */
interface Member {
  mode: number;
  bytes: Uint8Array;
}

const BLOCK_BYTES = 512;

/** The regular files of a tar archive by their path, in order. */
function untar(archive: Uint8Array): Map<string, Member> {
  const files = new Map<string, Member>();
  const text = (at: number, length: number) =>
    Buffer.from(archive.subarray(at, at + length))
      .toString("latin1")
      .replace(/\0.*$/s, "");
  for (let at = 0; at + BLOCK_BYTES <= archive.length;) {
    const [path, type] = [text(at, 100), text(at + 156, 1)];
    const size = Number.parseInt(text(at + 124, 12).trim() || "0", 8);
    const bytes = archive.subarray(at + BLOCK_BYTES, at + BLOCK_BYTES + size);
    const mode = Number.parseInt(text(at + 100, 8).trim() || "0", 8) & 0o7777;
    // Apart from folders and additional headers.
    if (path !== "" && (type === "0" || type === "")) files.set(path, { mode, bytes });
    at += BLOCK_BYTES * (1 + Math.ceil(size / BLOCK_BYTES));
  }
  return files;
}

/** Makes it once, when it is asked for. */
function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

const sha256 = (bytes: Uint8Array) => Bun.SHA256.hash(bytes, "hex");

async function expectShell(script: string): Promise<void> {
  await run("sh", "-n", "-c", script);
}

describe.skipIf(PACKAGES === undefined)("the package of Alpine", () => {
  // One or more gzip streams, each with a part of one tar archive.
  const files = once(() => untar(gunzipSync(readFileSync(packageOf("now", "_x86_64.apk")))));
  const text = (path: string) => Buffer.from(files().get(path)!.bytes).toString();

  test("holds the binary for musl, the service, and settings that only root reads", () => {
    const found = files();
    expect(targetOf(found.get("usr/bin/buntracker")!.bytes)).toBe("linux-x64-musl");
    expect(found.get("usr/bin/buntracker")!.mode).toBe(0o755);
    expect(found.get("etc/init.d/buntracker")!.mode).toBe(0o755);
    expect(found.get("etc/buntracker/buntracker.env")!.mode).toBe(0o640);
    expect([...found.keys()]).toContain("usr/share/man/man8/buntracker.8.gz");
    expect([...found.keys()].filter((path) => path.includes("systemd"))).toEqual([]);
    expect([...found.keys()].filter((path) => path.startsWith("etc/sysctl"))).toEqual([]);
  });

  test("tells its name, its version, and that it needs the C++ library", () => {
    const lines = text(".PKGINFO").split("\n");
    expect(lines).toContain("pkgname = buntracker");
    expect(lines).toContain("arch = x86_64");
    expect(lines).toContain("depend = libstdc++");
  });

  test("makes the user before, and ends the tracker before it goes", async () => {
    expect(text(".pre-install")).toContain("adduser -S");
    expect(text(".pre-deinstall")).toContain("rc-service --ifstarted buntracker stop");
    for (const script of [".pre-install", ".pre-deinstall", "etc/init.d/buntracker"]) {
      await expectShell(text(script));
    }
  });
});

describe.skipIf(PACKAGES === undefined)("the package of FreeBSD", () => {
  const files = once(() =>
    untar(zstdDecompressSync(readFileSync(packageOf("now", "-freebsd-x64.pkg")))),
  );
  const manifest = (name: string) => JSON.parse(Buffer.from(files().get(name)!.bytes).toString());

  test("begins with its manifests, and the rest are the files they name, byte by byte", () => {
    const [short, whole, ...paths] = files().keys();
    expect([short, whole]).toEqual(["+COMPACT_MANIFEST", "+MANIFEST"]);
    const sums = [...files()].slice(2).map(([path, { bytes }]) => [path, `1$${sha256(bytes)}`]);
    expect(manifest("+MANIFEST").files).toEqual(Object.fromEntries(sums));
    expect(manifest("+COMPACT_MANIFEST").files).toBeUndefined();
    expect(paths.filter((path) => !path.startsWith("/usr/local/"))).toEqual([]);
    const size = [...files()].slice(2).reduce((sum, [, { bytes }]) => sum + bytes.length, 0);
    expect(manifest("+COMPACT_MANIFEST").flatsize).toBe(size);
  });

  test("is for the system that its binary is for", () => {
    expect(targetOf(files().get("/usr/local/bin/buntracker")!.bytes)).toBe("freebsd-x64");
    expect(manifest("+COMPACT_MANIFEST").abi).toBe("FreeBSD:14:amd64");
  });

  test("has what pkg(8) asks of a manifest", () => {
    const fields = ["name", "origin", "version", "comment", "maintainer", "www", "prefix", "desc"];
    for (const name of ["+COMPACT_MANIFEST", "+MANIFEST"]) {
      for (const field of fields) expect(`${field}: ${manifest(name)[field]}`).toMatch(/: ./);
    }
  });

  test("has a user of its own, and a sample of settings", async () => {
    const rc = Buffer.from(files().get("/usr/local/etc/rc.d/buntracker")!.bytes).toString();
    expect(files().get("/usr/local/etc/rc.d/buntracker")!.mode).toBe(0o755);
    expect(rc).toContain(': "${buntracker_run_as:=buntracker}"');
    expect(files().get("/usr/local/etc/buntracker.env.sample")!.mode).toBe(0o640);
    const { scripts } = manifest("+MANIFEST");
    expect(Object.keys(scripts)).toEqual(["pre-install", "post-install", "pre-deinstall"]);
    expect(scripts["pre-install"]).toContain("pw useradd buntracker");
    for (const script of [...Object.values<string>(scripts), rc]) await expectShell(script);
  });

  test("copies and removes the settings as told, on any system with a shell", async () => {
    const { scripts } = manifest("+MANIFEST");
    const [settings, sample] = ["", ".sample"].map((end) => `/usr/local/etc/buntracker.env${end}`);
    await Bun.write(sample, "one\n");
    await run("sh", "-c", scripts["post-install"]);
    expect(readFileSync(settings, "utf8")).toBe("one\n");
    // An upgrade: settings that were never changed become those of the new sample.
    await run("sh", "-c", `PKG_UPGRADE=true; ${scripts["pre-deinstall"]}`);
    await Bun.write(sample, "two\n");
    await run("sh", "-c", scripts["post-install"]);
    expect(readFileSync(settings, "utf8")).toBe("two\n");
    // Settings that were changed stay, in an upgrade and in a removal.
    await Bun.write(settings, "mine\n");
    await run("sh", "-c", `PKG_UPGRADE=true; ${scripts["pre-deinstall"]}`);
    await run("sh", "-c", scripts["post-install"]);
    expect(readFileSync(settings, "utf8")).toBe("mine\n");
    await run("rm", settings, sample);
  });
});
