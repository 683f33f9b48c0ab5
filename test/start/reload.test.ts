/** A reload: all files are read before any is taken, and all threads get the update in one way. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AccessKeeper } from "../../src/access/keeper.ts";
import { Log } from "../../src/host/log.ts";
import { RuleKeeper } from "../../src/limits/rule-keeper.ts";
import { Files } from "../../src/start/reload.ts";
import type { Update } from "../../src/start/threads.ts";
import { Store } from "../../src/swarm/store.ts";
import { hashOf } from "../access/fixture.ts";
import { makeCertificate } from "../http/openssl.ts";
import { makeMemory, MIB } from "../swarm/fixture.ts";

// Without openssl there is no certificate to read.
const testHere = test.if(makeCertificate.possible);

const made = mkdtempSync(join(tmpdir(), "buntracker-reload-certificate-"));
if (makeCertificate.possible) for (const name of ["first", "second"]) makeCertificate(made, name);
afterAll(() => rmSync(made, { recursive: true }));

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "buntracker-reload-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** A tracker's files, and all updates of its threads. `state.refuses`: new sockets fail. */
function open() {
  const path = (name: string) => join(folder, name);
  const write = (name: string, text: string) => writeFileSync(path(name), text);
  const list = (...numbers: number[]) => numbers.map((n) => `${hashOf(n).toHex()}\n`).join("");
  write("deny", list(1));
  write("rules", "drop port=1\n");
  cpSync(made, folder, { recursive: true });
  const [cert, key] = [path("first.cert.pem"), path("first.key.pem")];
  const renew = () => {
    cpSync(path("second.cert.pem"), cert);
    cpSync(path("second.key.pem"), key);
  };
  const told: Update[] = [];
  const state = { refuses: false };
  const threads = {
    async tell(update: Update): Promise<void> {
      if (update.certificate !== undefined && state.refuses) throw new Error("no socket");
      told.push(update);
      threads.certificate = update.certificate ?? threads.certificate;
    },
    certificate: undefined as Update["certificate"],
    release: undefined,
  };
  const lines: string[] = [];
  const take = (line: string) => void lines.push(line.trimEnd());
  const log = new Log({ level: "info", format: "logfmt", journal: true, write: take });
  const memory = makeMemory(16 * MIB, false);
  const sources = { denyFile: path("deny"), denyPeerIds: [], allowPeerIds: [] };
  const lists = new AccessKeeper(sources, memory.keys, new Store(memory), log, (update) =>
    threads.tell(update),
  );
  const rules = new RuleKeeper(path("rules"), 1);
  const certificate = { tlsCertFile: cert, tlsKeyFile: key };
  const files = new Files(lists, rules, certificate, threads);
  const events: unknown[] = [];
  const observer = {
    reloading: () => void events.push("reloading"),
    reloaded: (good: boolean) => void events.push(good),
  };
  const reload = () => files.reload(log, observer);
  return { files, reload, told, lines, events, write, list, cert, state, renew };
}

describe("the files", () => {
  testHere("reach all threads: first the certificate, then lists and rules together", async () => {
    const { files, told } = open();
    await files.read();
    expect(told.map((update) => Object.keys(update))).toEqual([
      ["certificate"],
      ["access", "rules"],
    ]);
    expect(told[1].access!.deny).toBeDefined();
    expect(told[1].rules!.rules.map(({ text }) => text)).toEqual(["drop port=1"]);
  });

  testHere("are read again on SIGHUP; the log and the observer learn what came of it", async () => {
    const { files, reload, told, lines, events, write, list } = open();
    await files.read();
    write("deny", list(1, 2));
    write("rules", "drop port=1\ncount port=2\n");
    await reload();
    expect(lines).toEqual(["<6>level=info msg=reloaded denied=2 rules=2"]);
    expect(events).toEqual(["reloading", true]);
    // The certificate is the same, so nobody is told: clients could not resume their sessions.
    expect(told.slice(2).map((update) => Object.keys(update))).toEqual([["access", "rules"]]);
  });

  testHere("give a certificate that is renewed to all threads, once", async () => {
    const { files, reload, told, renew } = open();
    await files.read();
    renew();
    await reload();
    await reload();
    const certificates = told.flatMap(({ certificate }) => certificate ?? []);
    expect(certificates).toHaveLength(2);
    expect(certificates[0].cert).not.toBe(certificates[1].cert);
  });
});

describe("one file that is wrong", () => {
  testHere.each([
    ["deny", "TRACKER_DENY_FILE"],
    ["page", "which has bad lines only: 2, namely 1 2"],
    ["rules", "TRACKER_RULES_FILE"],
    ["certificate", "which holds no certificate as PEM"],
  ])("%s: nothing changes, and the log says what is wrong", async (wrong, reason) => {
    const { files, reload, told, lines, events, write, list, cert } = open();
    await files.read();
    write("deny", list(1, 2));
    write("rules", "drop port=1\ncount port=2\n");
    if (wrong === "deny") rmSync(join(folder, "deny"));
    else if (wrong === "page") write("deny", "<html>\n</html>\n");
    else if (wrong === "rules") write("rules", "drop");
    else writeFileSync(cert, "not a certificate");
    await reload();
    expect(told).toHaveLength(2);
    expect([files.lists.status.denied, files.rules.shared.rules.length]).toEqual([1, 1]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("reload failed, everything stays as it was");
    expect(lines[0]).toContain(reason);
    expect(lines[0]).toMatch(/ remedy="[^"]{20,}"$/);
    expect(events).toEqual(["reloading", false]);
  });

  testHere(
    "nor does anything change where no socket can be had for a new certificate",
    async () => {
      const { files, reload, told, state, renew, write, list, events } = open();
      await files.read();
      state.refuses = true;
      renew();
      write("deny", list(1, 2));
      await reload();
      expect(told).toHaveLength(2);
      expect(files.lists.status.denied).toBe(1);
      expect(events).toEqual(["reloading", false]);
      state.refuses = false;
      await reload();
      expect(told[2].certificate?.cert).not.toBe(told[0].certificate?.cert);
    },
  );
});

testHere("a hash that is listed during a reload stays listed", async () => {
  const { files, reload } = open();
  await files.read();
  const first = reload();
  const change = files.lists.change("deny", hashOf(7), true);
  await Promise.all([first, change, reload()]);
  expect(files.lists.status.denied).toBe(2);
});
