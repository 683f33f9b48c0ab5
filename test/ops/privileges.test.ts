import { describe, expect, test } from "bun:test";
import { dropPrivileges } from "../../src/ops/privileges.ts";

/** Drops privileges in a process of its own: it could not take them back. */
function dropIn(user: string, setup = ""): { stdout: string; exitCode: number } {
  const module = JSON.stringify(`${import.meta.dir}/../../src/ops/privileges.ts`);
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

  test("to root is refused: that drops nothing", () => {
    expect(() => dropPrivileges("root")).toThrow("which is root");
  });

  test.if(process.getuid?.() === 0)("leaves no way back and no group of root's", () => {
    const { stdout } = dropIn("nobody");
    expect(stdout).toBe("65534 65534 65534 65534\nno way back\n");
  });

  test.if(process.getuid?.() === 0)("is refused to somebody who is not root", () => {
    const { stdout } = dropIn("daemon", "process.setgid(65534); process.setuid(65534);");
    expect(stdout).toContain("not permitted to become daemon | only root can become");
  });
});
