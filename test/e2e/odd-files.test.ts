/**
 * Files that are none, that have no end, that change or that lead elsewhere, where the settings of
 * the compiled binary name them.
 */
import { afterAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
} from "node:fs";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../http/openssl.ts";
import { freePort, startProcess, startTracker, type Tracker } from "./harness.ts";

const folder = mkdtempSync(join(tmpdir(), "odd-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

const pipe = join(folder, "pipe");
Bun.spawnSync(["mkfifo", pipe]);

const HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
const TOKEN = "0123456789abcdef-token";

describe.each([
  ["/dev/zero", "/dev/zero"],
  ["a pipe", pipe],
  ["a folder", folder],
])("%s", (_name, path) => {
  test.each(["TRACKER_ADMIN_TOKEN_FILE", "TRACKER_UDP_SECRET_FILE", "TRACKER_TLS_CERT_FILE"])(
    "as %s ends the start and check at once, with a sentence",
    async (variable) => {
      const env = { TRACKER_TLS_KEY_FILE: "/dev/null", [variable]: path };
      const settings = variable === "TRACKER_TLS_CERT_FILE" ? env : { [variable]: path };
      for (const args of [[], ["check"]]) {
        const child = startProcess({ args, env: settings });
        expect(await child.exited(4000)).toBe(78);
        expect(child.stderr).toContain(variable);
        expect(child.stderr).toContain("cannot be read (not a file)");
      }
    },
  );
});

test.if(makeCertificate.possible)(
  "a pipe as certificate at SIGHUP leaves the old one",
  async () => {
    const { cert, key } = makeCertificate(folder, "reloaded");
    const env = { TRACKER_TLS_CERT_FILE: cert, TRACKER_TLS_KEY_FILE: key };
    const port = freePort();
    const http = { TRACKER_HTTP_ADDRESS: `127.0.0.1:${port},http://127.0.0.1:${freePort()}` };
    const tracker = startProcess({ port, env: { ...env, ...http, TRACKER_ADMIN_ADDRESS: "" } });
    await using _tracker = tracker;
    await tracker.says("msg=ready");
    rmSync(cert);
    Bun.spawnSync(["mkfifo", cert]);
    tracker.signal("SIGHUP");
    await tracker.says("reload failed");
    expect(tracker.stderr).toContain("cannot be read (not a file)");
    const options = { tls: { rejectUnauthorized: false }, keepalive: false };
    expect((await fetch(`https://127.0.0.1:${port}/health`, options)).status).toBe(200);
  },
);

describe("a pipe as TRACKER_STATE_IMPORT", () => {
  const env = { TRACKER_STATE_IMPORT: pipe, TRACKER_ADMIN_ADDRESS: "" };

  test("without a writer does not keep one SIGTERM from ending the start", async () => {
    const tracker = startProcess({ env });
    await tracker.catches(constants.signals.SIGTERM);
    await Bun.sleep(100);
    tracker.signal("SIGTERM");
    expect(await tracker.exited(4000)).toBe(0);
    expect(tracker.stderr).toContain("stopped before it was ready");
  });

  test("without an end does not keep it either", async () => {
    const tracker = startProcess({ env: { ...env, TRACKER_MEMORY_MAX: "16MiB" } });
    const writer = Bun.spawn(["sh", "-c", `yes ${HASH}:1:1 > ${pipe}`], { stderr: "ignore" });
    await tracker.catches(constants.signals.SIGTERM);
    await Bun.sleep(200);
    tracker.signal("SIGTERM");
    expect(await tracker.exited(4000)).toBe(0);
    await writer.exited;
  });

  test("is not read by check, since the start needs its lines", async () => {
    const child = startProcess({ args: ["check"], env });
    expect([await child.exited(4000), child.stderr.includes(pipe)]).toEqual([0, false]);
  });
});

test("a list that is written while it is read is refused, and the old one stays", async () => {
  const list = join(folder, "written");
  const hashes = Array.from({ length: 100_000 }, (_, i) => i.toString(16).padStart(40, "0"));
  writeFileSync(list, `${hashes.join("\n")}\n`);
  await using tracker = await startTracker({ env: { TRACKER_DENY_FILE: list } });
  let written = 0;
  const timer = setInterval(() => {
    appendFileSync(list, `${(200_000 + written++).toString(16).padStart(40, "0")}\n`);
  }, 0);
  tracker.signal("SIGHUP");
  await tracker.says("reload failed").finally(() => clearInterval(timer));
  expect(tracker.stderr).toContain(`${list}, which cannot be read (it changed while it was read)`);
  tracker.signal("SIGHUP");
  await tracker.says(`msg=reloaded denied=${100_000 + written}`);
});

test("the error page of a web server is no list: it is refused, the old one stays", async () => {
  const list = join(folder, "fetched");
  writeFileSync(list, `${HASH}\n`);
  const adminPort = freePort();
  const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`, TRACKER_DENY_FILE: list };
  await using tracker = await startTracker({ env });
  const told = async (name: string): Promise<string> => {
    const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    return metrics
      .split("\n")
      .find((line) => line.startsWith(name))!
      .slice(name.length + 1);
  };
  writeFileSync(list, "<html>\r\n<title>502 Bad Gateway</title>\r\n</html>\r\n");
  tracker.signal("SIGHUP");
  await tracker.says("reload failed, everything stays as it was");
  expect(tracker.stderr).toContain(`${list}, which has bad lines only: 3, namely 1 2 3`);
  expect(await told('tracker_access_list_entries{list="deny"}')).toBe("1");
  expect(await told('tracker_reloads_total{result="error"}')).toBe("1");
  writeFileSync(list, "# none any more\n");
  tracker.signal("SIGHUP");
  await tracker.says("msg=reloaded denied=0");
  const again = startProcess({ args: ["check"], env });
  expect(await again.exited()).toBe(0);
  writeFileSync(list, "<html>\n");
  const refused = startProcess({ args: ["check"], env });
  expect(await refused.exited()).toBe(78);
});

/** Only root can make a link that belongs to another user. */
describe.if(process.getuid?.() === 0)("in a folder that others may write to", () => {
  async function deny(tracker: Tracker, adminPort: number): Promise<string> {
    const headers = { Authorization: `Bearer ${TOKEN}` };
    const url = `http://127.0.0.1:${adminPort}/access/deny/${HASH}`;
    const answer = await fetch(url, { method: "PUT", headers });
    expect(tracker.running).toBe(true);
    return `${answer.status} ${await answer.text()}`;
  }

  test("a list that became another user's link is not followed when a hash is denied", async () => {
    const shared = join(folder, "shared");
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    const precious = join(folder, "precious");
    writeFileSync(precious, "root's own\n");
    const list = join(shared, "deny");
    writeFileSync(list, "");
    const adminPort = freePort();
    const admin = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`, TRACKER_ADMIN_TOKEN: TOKEN };
    await using tracker = await startTracker({ env: { ...admin, TRACKER_DENY_FILE: list } });
    rmSync(list);
    symlinkSync(precious, list);
    lchownSync(list, 65534, 65534);
    expect(await deny(tracker, adminPort)).toBe(
      `500 nothing was changed: ${list} cannot be written ` +
        "(there is a symbolic link of another user): the tracker's user must own the file, " +
        "and be allowed to write to its folder\n",
    );
    expect(readFileSync(precious, "utf8")).toBe("root's own\n");
    lchownSync(list, 0, 0);
    expect(await deny(tracker, adminPort)).toStartWith("200 ");
    expect(readFileSync(precious, "utf8")).toBe(`root's own\n${HASH}\n`);
  });
});
