import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, lchownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dropPrivileges, missingRights } from "../../src/start/privileges.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-privileges-"));
afterAll(() => rmSync(folder, { recursive: true }));

const PATH = `${import.meta.dir}/../../src/start/privileges.ts`;

/** Drops privileges in a separate process, which cannot get them back. */
function dropIn(user: string, setup = ""): { stdout: string; exitCode: number } {
  const module = JSON.stringify(PATH);
  const script = `
    import { dropPrivileges } from ${module};
    ${setup}
    try {
      dropPrivileges(${JSON.stringify(user)});
      const { getuid, geteuid, getgid, getgroups } = process;
      console.log(getuid(), geteuid(), getgid(), getgroups().join());
    } catch (error) { console.log(error.message + " | " + error.hint); }
    try { process.setuid(0); console.log("root again"); } catch { console.log("no way back"); }
  `;
  const { stdout, exitCode } = Bun.spawnSync([process.execPath, "-e", script]);
  return { stdout: stdout.toString(), exitCode };
}

describe("dropping privileges", () => {
  test("to a user that does not exist is refused, with a remedy", () => {
    expect(() => dropPrivileges("no-such-user")).toThrow(
      'TRACKER_USER is "no-such-user", and there is no such user',
    );
  });

  test("to root is refused", () => {
    expect(() => dropPrivileges("root")).toThrow("which is root");
  });

  test.if(process.getuid?.() === 0)("cannot be undone, and leaves no group of root", () => {
    const { stdout } = dropIn("nobody");
    expect(stdout).toBe("65534 65534 65534 65534\nno way back\n");
  });

  test.if(process.getuid?.() === 0)("is refused to a user that is not root", () => {
    const { stdout } = dropIn("daemon", "process.setgid(65534); process.setuid(65534);");
    expect(stdout).toContain('not permitted to become the user "daemon" | only root can become');
  });
});

describe("a missing right", () => {
  const LIVE = { adminToken: "0123456789abcdef", adminListeners: [{ host: "::1", port: 1 }] };

  test("is not reported if the files and their folder are ours", () => {
    const denyFile = join(folder, "deny");
    writeFileSync(denyFile, "");
    expect(missingRights({ ...LIVE, denyFile })).toEqual([]);
    expect(missingRights({})).toEqual([]);
  });

  test("is reported for a file that is gone", () => {
    const rulesFile = join(folder, "gone");
    expect(missingRights({ rulesFile, user: "nobody" })).toEqual([
      {
        message: "a file cannot be read again on SIGHUP",
        file: rulesFile,
        remedy: 'let the user "nobody" read it and search the folders above it',
      },
    ]);
  });

  test.if(process.getuid?.() === 0)("is reported for the user that root becomes", () => {
    const [mine, theirs] = [join(folder, "mine"), join(folder, "theirs")];
    for (const place of [mine, theirs]) {
      mkdirSync(place);
      writeFileSync(join(place, "list"), "");
    }
    for (const path of [theirs, join(theirs, "list")]) chownSync(path, 65534, 65534);
    const key = join(folder, "key.pem");
    writeFileSync(key, "", { mode: 0o600 });
    chmodSync(folder, 0o755);
    const lackingTo = (config: object): string[] => {
      const script = `
        import { missingRights } from ${JSON.stringify(PATH)};
        process.setgid(65534); process.setuid(65534);
        const lacking = missingRights(${JSON.stringify(config)});
        console.log(lacking.map(({ message, file }) => message + " " + file).join("|"));`;
      const { stdout } = Bun.spawnSync([process.execPath, "-e", script]);
      return stdout.toString().trim().split("|");
    };
    const lists = { denyFile: join(mine, "list"), allowFile: join(theirs, "list") };
    const changed = `a list cannot be changed while the tracker runs ${lists.denyFile}`;
    const unread = `a file cannot be read again on SIGHUP ${key}`;
    expect(lackingTo({ ...LIVE, ...lists, tlsKeyFile: key })).toEqual([unread, changed]);
    const snapshotFile = join(mine, "swarms");
    const unkept = `the swarms cannot be kept over a restart ${snapshotFile}`;
    expect(lackingTo({ snapshotFile })).toEqual([unkept]);
    expect(lackingTo({ snapshotFile: join(theirs, "swarms") })).toEqual([""]);
    // Without a token nobody changes the lists.
    expect(lackingTo({ ...lists, adminListeners: LIVE.adminListeners })).toEqual([""]);
  });

  test.if(process.getuid?.() === 0)("has a remedy of its own where no owner can help", () => {
    const disk = mkdtempSync(join(folder, "disk-"));
    const mount = (...args: string[]) => Bun.spawnSync(["mount", ...args]).exitCode === 0;
    // Without mounts, as in some containers, there is nothing to see.
    if (!mount("-t", "tmpfs", "tmpfs", disk)) return;
    const denyFile = join(disk, "deny");
    const alone = join(folder, "alone");
    for (const file of [denyFile, alone]) writeFileSync(file, "");
    try {
      mount("--bind", denyFile, alone);
      mount("-o", "remount,ro", disk);
      const [{ remedy }] = missingRights({ ...LIVE, denyFile });
      expect(remedy).toContain("it is read-only");
      const [mounted] = missingRights({ ...LIVE, denyFile: alone });
      expect(mounted.remedy).toContain("mount its folder");
    } finally {
      Bun.spawnSync(["umount", alone]);
      Bun.spawnSync(["umount", disk]);
    }
  });

  test.if(process.getuid?.() === 0)("is reported for a list that is immutable", () => {
    const place = join(folder, "immutable");
    mkdirSync(place);
    const denyFile = join(place, "deny");
    writeFileSync(denyFile, "");
    for (const fixed of [denyFile, place]) {
      // Not every file system has the attribute.
      if (Bun.spawnSync(["chattr", "+i", fixed]).exitCode !== 0) return;
      try {
        const [lacked] = missingRights({ ...LIVE, denyFile });
        expect(lacked.message).toBe("a list cannot be changed while the tracker runs");
        expect(lacked.remedy).toContain("lsattr");
      } finally {
        Bun.spawnSync(["chattr", "-i", fixed]);
      }
    }
    chmodSync(denyFile, 0o444);
    expect(missingRights({ ...LIVE, denyFile })).toEqual([]);
  });

  test.if(process.getuid?.() === 0)("is reported for a list behind another user's link", () => {
    const list = join(folder, "linked");
    writeFileSync(list, "");
    const denyFile = join(folder, "link");
    symlinkSync(list, denyFile);
    expect(missingRights({ ...LIVE, denyFile })).toEqual([]);
    lchownSync(denyFile, 65534, 65534);
    const [{ message }] = missingRights({ ...LIVE, denyFile });
    expect(message).toBe("a list cannot be changed while the tracker runs");
  });
});
