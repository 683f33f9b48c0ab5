/**
 * Access lists and maintenance through the compiled binary, with and without UDP workers: what is
 * refused, in which words, over both transports, and what an operator can change while it runs.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { decodeDictionary, type Dictionary } from "./bencode.ts";
import { announceRequest, openDatagrams, randomBytes } from "./datagrams.ts";
import { type Environment, freePort, startProcess, startTracker, type Tracker } from "./harness.ts";
import { exchangeTcp, readResponses } from "./raw-http.ts";

const TOKEN = "correct-horse-battery-staple";
const DENIED = "this info hash is denied here";
const UNLISTED = "this info hash is not on the allow list of this tracker";
const NETWORK = "your network is denied here";
const CLIENT = "your client is denied here: use another client";
const MAINTENANCE = "this tracker is under maintenance: it will be back soon";

/** A worker reads its messages when its receive times out. */
const MAIL_MILLISECONDS = 1000;
const SLOW_MILLISECONDS = 30_000;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "buntracker-access-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

let files = 0;
function fileOf(words: string): string {
  files += 1;
  const path = join(folder, `list-${files}`);
  writeFileSync(path, words);
  return path;
}
const read = (path: string) => readFileSync(path, "utf8");

/** A tracker with an operator's address, and its settings for a second process. */
async function start(env: Environment, workers: string) {
  const adminPort = freePort();
  const all: Environment = {
    TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
    TRACKER_ADMIN_TOKEN: TOKEN,
    TRACKER_UDP_WORKERS: workers,
    ...env,
  };
  const tracker = await startTracker({ env: all });
  const admin = async (method: string, path: string, token = TOKEN) => {
    const headers = { Authorization: `Bearer ${token}` };
    const url = `http://127.0.0.1:${adminPort}${path}`;
    const response = await fetch(url, { method, headers });
    return `${response.status} ${(await response.text()).trimEnd()}`;
  };
  const verb = async (...args: string[]) => {
    const child = startProcess({ args, env: all });
    const code = await child.exited();
    return { code, stdout: child.stdout, stderr: child.stderr };
  };
  return { tracker, admin, verb, [Symbol.asyncDispose]: () => tracker[Symbol.asyncDispose]() };
}

interface Asking {
  hash: Uint8Array;
  source?: string;
  peerId?: string;
  event?: string;
}

async function askHttp(tracker: Tracker, path: string, source = "127.0.0.1"): Promise<Dictionary> {
  const { bytes } = await exchangeTcp({
    host: "127.0.0.1",
    port: tracker.port,
    source,
    pieces: [Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)],
  });
  return decodeDictionary(readResponses(bytes, true)[0]!.body);
}

const escaped = (bytes: Uint8Array) => bytes.toHex().replace(/../g, "%$&");

function announceHttp(tracker: Tracker, asking: Asking): Promise<Dictionary> {
  const { hash, source, peerId = "-EE0001-abcdefghijkl", event = "started" } = asking;
  const query = `info_hash=${escaped(hash)}&peer_id=${peerId}&port=7001&left=1&event=${event}`;
  return askHttp(tracker, `/announce?${query}`, source);
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

/** The failure and the retry time; "served" without a failure. */
async function sentenceHttp(tracker: Tracker, asking: Asking): Promise<string> {
  const answer = await announceHttp(tracker, asking);
  const reason = answer["failure reason"];
  if (reason === undefined) return "served";
  return `${String(reason)} / ${String(answer["retry in"])}`;
}

/** The text of an error; "served" without an error. */
async function sentenceUdp(tracker: Tracker, asking: Asking): Promise<string> {
  const { hash, source, peerId, event } = asking;
  using client = await openDatagrams("127.0.0.1", tracker.port, source);
  const connectionId = await client.connect();
  const request = announceRequest({
    connectionId,
    infoHash: hash,
    port: 7002,
    event: event === "stopped" ? 3 : 2,
  });
  if (peerId !== undefined) request.set(new TextEncoder().encode(peerId), 36);
  const [answer] = await client.exchange(request);
  const view = new DataView(answer!.buffer, answer!.byteOffset);
  expect(answer!.subarray(4, 8).toHex()).toBe(request.subarray(12, 16).toHex());
  if (view.getUint32(0) === 1) return "served";
  expect(view.getUint32(0)).toBe(3);
  return textOf(answer!.subarray(8));
}

async function peersOf(tracker: Tracker, hash: Uint8Array): Promise<number> {
  const answer = await askHttp(tracker, `/scrape?info_hash=${escaped(hash)}`);
  const [counts] = Object.values(answer["files"] as Dictionary) as Dictionary[];
  return Number(counts!["complete"]) + Number(counts!["incomplete"]);
}

/** Repeats a request until it gets this answer, as long as messages to workers may take. */
async function until<Answer extends string | number>(
  expected: Answer,
  ask: () => Promise<Answer>,
): Promise<void> {
  const deadline = performance.now() + MAIL_MILLISECONDS;
  let answer = await ask();
  while (!Object.is(answer, expected) && performance.now() < deadline) {
    await Bun.sleep(20);
    answer = await ask();
  }
  expect<string | number>(answer).toBe(expected);
}

describe.each(["0", "1"])("with TRACKER_UDP_WORKERS=%s", (workers) => {
  test("a denied hash is refused over both transports, and shows zeros", async () => {
    const hash = randomBytes(20);
    const long = randomBytes(32);
    // One hash without a line end is enough to end other trackers.
    const env = { TRACKER_DENY_FILE: fileOf(`${long.toHex()}\r\n\n# x\n${hash.toHex()}`) };
    await using running = await start(env, workers);
    const { tracker } = running;
    for (const denied of [hash, long.subarray(0, 20)]) {
      for (const event of ["started", "stopped"]) {
        const asking = { hash: denied, event };
        expect(await sentenceHttp(tracker, asking)).toBe(`${DENIED} / never`);
        expect(await sentenceUdp(tracker, asking)).toBe(DENIED);
      }
      expect(await peersOf(tracker, denied)).toBe(0);
    }
    const other = { hash: randomBytes(20) };
    expect(await sentenceHttp(tracker, other)).toBe("served");
    expect(await sentenceUdp(tracker, other)).toBe("served");
  });

  test("a file of one hash without a line end starts, as a list of either kind", async () => {
    const hash = randomBytes(20);
    const deny = { TRACKER_DENY_FILE: fileOf(hash.toHex()) };
    await using denying = await start(deny, workers);
    expect(await sentenceUdp(denying.tracker, { hash })).toBe(DENIED);
    await using allowing = await start({ TRACKER_ALLOW_FILE: fileOf(hash.toHex()) }, workers);
    expect(await sentenceUdp(allowing.tracker, { hash })).toBe("served");
  });

  test("with an allow list other hashes are refused, and the deny list comes first", async () => {
    const [allowed, both, other] = [randomBytes(20), randomBytes(20), randomBytes(20)];
    await using running = await start(
      {
        TRACKER_ALLOW_FILE: fileOf(`${allowed.toHex().toUpperCase()} ; mine\n${both.toHex()}\n`),
        TRACKER_DENY_FILE: fileOf(`${both.toHex()}\n`),
      },
      workers,
    );
    const { tracker } = running;
    expect(await sentenceHttp(tracker, { hash: allowed })).toBe("served");
    expect(await sentenceUdp(tracker, { hash: allowed })).toBe("served");
    expect(await sentenceHttp(tracker, { hash: both })).toBe(`${DENIED} / never`);
    expect(await sentenceUdp(tracker, { hash: both })).toBe(DENIED);
    expect(await sentenceHttp(tracker, { hash: other })).toBe(`${UNLISTED} / 60`);
    expect(await sentenceUdp(tracker, { hash: other })).toBe(UNLISTED);
  });

  test("denied networks and clients are refused", async () => {
    const networks = "# local\nSome name, Inc:127.0.0.8-127.0.0.9\n127.0.1.0/24\n";
    await using running = await start(
      { TRACKER_DENY_NETWORKS_FILE: fileOf(networks), TRACKER_DENY_CLIENTS: "-XL,M%35-" },
      workers,
    );
    const { tracker } = running;
    const hash = randomBytes(20);
    for (const source of ["127.0.0.8", "127.0.0.9", "127.0.1.77"]) {
      expect(await sentenceHttp(tracker, { hash, source })).toBe(`${NETWORK} / never`);
      expect(await sentenceUdp(tracker, { hash, source })).toBe(NETWORK);
    }
    for (const peerId of ["-XL0012-abcdefghijkl", "M5-0-9--04ced8af43f0"]) {
      expect(await sentenceHttp(tracker, { hash, peerId })).toBe(`${CLIENT} / never`);
      expect(await sentenceUdp(tracker, { hash, peerId })).toBe(CLIENT);
    }
    expect(await peersOf(tracker, hash)).toBe(0);
    const others = { hash, source: "127.0.0.7", peerId: "-TR4000-abcdefghijkl" };
    expect(await sentenceHttp(tracker, others)).toBe("served");
    expect(await sentenceUdp(tracker, others)).toBe("served");
  });

  test("with a list of clients no others are served, less the denied ones", async () => {
    await using running = await start(
      { TRACKER_ALLOW_CLIENTS: "-TR,-qB", TRACKER_DENY_CLIENTS: "-TR2" },
      workers,
    );
    const { tracker } = running;
    const hash = randomBytes(20);
    const ask = async (peerId: string) => [
      await sentenceHttp(tracker, { hash, peerId }),
      await sentenceUdp(tracker, { hash, peerId }),
    ];
    const unlisted = "your client is not among those that this tracker serves";
    expect(await ask("-XL0012-abcdefghijkl")).toEqual([`${unlisted} / never`, unlisted]);
    expect(await ask("-TR2000-abcdefghijkl")).toEqual([`${CLIENT} / never`, CLIENT]);
    expect(await ask("-TR4000-abcdefghijkl")).toEqual(["served", "served"]);
    expect(await ask("-qB4650-abcdefghijkl")).toEqual(["served", "served"]);
  });

  test("SIGHUP reads all files again, or none, and evicts denied swarms", async () => {
    const [first, second] = [randomBytes(20), randomBytes(20)];
    const deny = fileOf(`${first.toHex()}\n`);
    const networks = fileOf("");
    await using running = await start(
      { TRACKER_DENY_FILE: deny, TRACKER_DENY_NETWORKS_FILE: networks },
      workers,
    );
    const { tracker } = running;
    expect(await sentenceHttp(tracker, { hash: second })).toBe("served");
    expect(await peersOf(tracker, second)).toBe(1);

    writeFileSync(deny, `${second.toHex()}\nbad line\n`);
    rmSync(networks);
    tracker.signal("SIGHUP");
    await tracker.says("reload failed");
    expect(await sentenceUdp(tracker, { hash: first })).toBe(DENIED);
    expect(await sentenceUdp(tracker, { hash: second })).toBe("served");

    writeFileSync(networks, "");
    tracker.signal("SIGHUP");
    await tracker.says("msg=reloaded denied=1");
    expect(tracker.stderr).toContain(
      `msg="bad lines are skipped" file=${deny} bad=1 line_numbers=2`,
    );
    expect(await sentenceUdp(tracker, { hash: first })).toBe("served");
    expect(await sentenceUdp(tracker, { hash: second })).toBe(DENIED);
    await until(0, () => peersOf(tracker, second));
  });

  test("many SIGHUPs at once delay a change of a list no longer than two do", async () => {
    await using running = await start({ TRACKER_DENY_FILE: fileOf("") }, workers);
    const { tracker, admin } = running;
    for (let i = 0; i < 50; i++) {
      tracker.signal("SIGHUP");
      // Signals that come at once are one already for the system.
      await Bun.sleep(2);
    }
    const hex = randomBytes(20).toHex();
    expect(await admin("PUT", `/access/deny/${hex}`)).toBe(`200 ${hex} is now on the deny list`);
    await tracker.says("msg=reloaded");
    // Without workers a reading is over before the next signal.
    const reloads = tracker.stderr.split("msg=reloaded").length - 1;
    if (workers !== "0") expect(reloads).toBeLessThan(10);
  });

  test("a single hash is denied and forgotten at once, and in the file", async () => {
    const hash = randomBytes(20);
    const hex = hash.toHex();
    const deny = fileOf("# mine\n");
    await using running = await start({ TRACKER_DENY_FILE: deny }, workers);
    const { tracker, admin } = running;
    const path = `/access/deny/${hex}`;
    // Taken off before it was ever put on.
    expect(await admin("DELETE", path)).toBe(`200 ${hex} was not on the deny list`);
    expect(await sentenceUdp(tracker, { hash })).toBe("served");
    expect(await admin("PUT", path)).toBe(`200 ${hex} is now on the deny list`);
    expect(await peersOf(tracker, hash)).toBe(0);
    expect(await sentenceHttp(tracker, { hash })).toBe(`${DENIED} / never`);
    expect(await sentenceUdp(tracker, { hash })).toBe(DENIED);
    expect(read(deny)).toBe(`# mine\n${hex}\n`);
    expect(await admin("DELETE", path)).toBe(`200 ${hex} is now off the deny list`);
    expect(await sentenceUdp(tracker, { hash })).toBe("served");
    expect(read(deny)).toBe("# mine\n");
    expect(await admin("PUT", path, "wrong")).toStartWith("401 ");
    expect(await admin("PUT", `/access/allow/${hex}`)).toBe(
      "409 there is no allow list: set TRACKER_ALLOW_FILE",
    );
  });

  test("changes of the lists outlive a restart", async () => {
    const [denied, allowed, gone] = [randomBytes(20), randomBytes(20), randomBytes(20)];
    const env = {
      TRACKER_DENY_FILE: fileOf(""),
      TRACKER_ALLOW_FILE: fileOf(`${denied.toHex()}\n${gone.toHex()}\n`),
    };
    const sentences = async (tracker: Tracker) => [
      await sentenceUdp(tracker, { hash: denied }),
      await sentenceUdp(tracker, { hash: allowed }),
      await sentenceUdp(tracker, { hash: gone }),
    ];
    {
      await using running = await start(env, workers);
      expect(await sentences(running.tracker)).toEqual(["served", UNLISTED, "served"]);
      expect((await running.verb("deny", denied.toHex())).code).toBe(0);
      expect((await running.verb("allow", allowed.toHex())).code).toBe(0);
      expect((await running.verb("forget", gone.toHex())).code).toBe(0);
      expect(await sentences(running.tracker)).toEqual([DENIED, "served", UNLISTED]);
    }
    await using again = await start(env, workers);
    expect(await sentences(again.tracker)).toEqual([DENIED, "served", UNLISTED]);
  });

  test("denied networks of IPv6 are refused, as CIDR and as a range", async () => {
    const hash = randomBytes(20);
    const networks = "2001:db9::/32\nSome name:2001:dba::5-2001:dba::7\nNear:::1-::1\n";
    await using running = await start(
      {
        TRACKER_DENY_NETWORKS_FILE: fileOf(networks),
        TRACKER_TRUSTED_PROXIES: "127.0.0.1",
      },
      workers,
    );
    const { tracker } = running;
    const query = `info_hash=${escaped(hash)}&peer_id=-EE0001-abcdefghijkl&port=7001&left=1`;
    const reasonFor = async (address: string) => {
      const headers = { "X-Forwarded-For": address };
      const url = `http://127.0.0.1:${tracker.port}/announce?${query}`;
      const answer = decodeDictionary(await (await fetch(url, { headers })).bytes());
      return String(answer["failure reason"] ?? "served");
    };
    for (const address of ["2001:db9:1::", "2001:dba::5", "2001:dba::6", "2001:dba::7"]) {
      expect(await reasonFor(address)).toBe(NETWORK);
    }
    for (const address of ["2001:dba::4", "2001:dba::8", "2001:db8::1", "203.0.113.1"]) {
      expect(await reasonFor(address)).toBe("served");
    }
    using client = await openDatagrams("::1", tracker.port);
    const connectionId = await client.connect();
    const [answer] = await client.exchange(
      announceRequest({ connectionId, infoHash: hash, port: 7002 }),
    );
    expect(textOf(answer!.subarray(8))).toBe(NETWORK);
  });

  test("a list that must grow during use reaches every thread", async () => {
    const deny = fileOf("");
    await using running = await start({ TRACKER_DENY_FILE: deny }, workers);
    const hashes = Array.from({ length: 120 }, () => randomBytes(20));
    const answers = await Promise.all(
      hashes.map((hash) => running.admin("PUT", `/access/deny/${hash.toHex()}`)),
    );
    expect(answers.filter((answer) => !answer.startsWith("200 "))).toEqual([]);
    for (const hash of [hashes[0]!, hashes.at(-1)!]) {
      expect(await sentenceUdp(running.tracker, { hash })).toBe(DENIED);
      expect(await sentenceHttp(running.tracker, { hash })).toBe(`${DENIED} / never`);
    }
    expect(read(deny)).toBe(hashes.map((hash) => `${hash.toHex()}\n`).join(""));
  });

  test("maintenance refuses announces, by signal and by verb, while scrapes go on", async () => {
    await using running = await start({}, workers);
    const { tracker, verb } = running;
    const hash = randomBytes(20);
    expect(await sentenceUdp(tracker, { hash })).toBe("served");
    const refusing = async () => {
      await until(`${MAINTENANCE} / 15`, () => sentenceHttp(tracker, { hash }));
      await until(MAINTENANCE, () => sentenceUdp(tracker, { hash }));
      expect(await peersOf(tracker, hash)).toBeGreaterThan(0);
    };
    const serving = async () => {
      await until("served", () => sentenceUdp(tracker, { hash }));
      await until("served", () => sentenceHttp(tracker, { hash }));
    };
    tracker.signal("SIGUSR2");
    await refusing();
    tracker.signal("SIGUSR2");
    await serving();
    expect((await verb("maintenance", "on")).stdout).toBe("announces are refused: maintenance\n");
    await refusing();
    expect((await verb("maintenance", "off")).code).toBe(0);
    await serving();
  });
});

test("SIGHUP during the start takes effect after the start", async () => {
  const state = join(folder, "state-pipe");
  Bun.spawnSync(["mkfifo", state]);
  const env = { TRACKER_STATE_IMPORT: state, TRACKER_HTTP_ADDRESS: `127.0.0.1:${freePort()}` };
  const tracker = startProcess({
    env: { ...env, TRACKER_UDP_ADDRESS: "", TRACKER_ADMIN_ADDRESS: "" },
  });
  // Opening succeeds only once the tracker, in the midst of its start, reads.
  let pipe = -1;
  while (pipe < 0) {
    try {
      pipe = openSync(state, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      await Bun.sleep(10);
    }
  }
  tracker.signal("SIGHUP");
  await Bun.sleep(50);
  closeSync(pipe);
  await tracker.says("msg=reloaded");
  await tracker.stop();
});

describe("the verbs of the binary", () => {
  test("deny, allow and forget change the running tracker", async () => {
    const [one, two] = [randomBytes(20).toHex(), randomBytes(20).toHex()];
    const [deny, allow] = [fileOf(""), fileOf("")];
    await using running = await start({ TRACKER_DENY_FILE: deny, TRACKER_ALLOW_FILE: allow }, "1");
    const { verb } = running;
    expect(await verb("deny", one, two)).toEqual({
      code: 0,
      stdout: `${one} is now on the deny list\n${two} is now on the deny list\n`,
      stderr: "",
    });
    expect((await verb("allow", one)).stdout).toBe(`${one} is now on the allow list\n`);
    expect([read(deny), read(allow)]).toEqual([`${one}\n${two}\n`, `${one}\n`]);
    expect((await verb("forget", one)).stdout).toBe(
      `${one} is now off the deny list\n${one} is now off the allow list\n`,
    );
    expect([read(deny), read(allow)]).toEqual([`${two}\n`, ""]);
  });

  test("failures give a sentence, perhaps a hint, and exit code 1", async () => {
    const hash = randomBytes(20).toHex();
    await using running = await start({}, "1");
    expect(await running.verb("deny", hash)).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "buntracker: error: there is no deny list: set TRACKER_DENY_FILE\n" +
        "buntracker: hint: set it where the tracker runs, and restart it; " +
        "the file may be empty\n",
    });
    expect(await running.verb("deny", "xyz")).toEqual({
      code: 1,
      stdout: "",
      stderr:
        'buntracker: error: "xyz" is not an info hash\n' +
        "buntracker: hint: write 40 or 64 hexadecimal digits, 32 of base32, " +
        "or a magnet link in quotes\n",
    });
    const tokenless = startProcess({ args: ["deny", hash], env: {} });
    expect(await tokenless.exited()).toBe(1);
    expect(tokenless.stderr).toContain("TRACKER_ADMIN_TOKEN is not set");
  });
});

describe("when a file cannot be used", () => {
  test.each(["TRACKER_DENY_FILE", "TRACKER_ALLOW_FILE", "TRACKER_DENY_NETWORKS_FILE"])(
    "%s that is missing at the start is an error with a hint",
    async (variable) => {
      const path = join(folder, "missing");
      const port = freePort();
      const child = startProcess({
        env: {
          TRACKER_UDP_ADDRESS: `127.0.0.1:${port}`,
          TRACKER_HTTP_ADDRESS: `127.0.0.1:${port}`,
          TRACKER_ADMIN_ADDRESS: "",
          [variable]: path,
        },
      });
      expect(await child.exited(3000)).toBe(78);
      expect(child.stderr).toBe(
        `buntracker: error: ${variable} is ${path}, which is not there\n` +
          "buntracker: hint: check the path and its permissions; the file may be empty\n",
      );
    },
  );

  test("a change on a full disk is refused, and the list does not change", async () => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
    const deny = join(disk, "deny");
    const [old, next] = [randomBytes(20), randomBytes(20)];
    const words = `${old.toHex()}\n${"# much to say\n".repeat(2400)}`;
    try {
      writeFileSync(deny, words);
      // Without root there is no small disk: something else is in the way of the new file.
      if (mount.exitCode !== 0) mkdirSync(`${deny}.new/x`, { recursive: true });
      await using running = await start({ TRACKER_DENY_FILE: deny }, "1");
      const answer = await running.admin("PUT", `/access/deny/${next.toHex()}`);
      expect(answer).toStartWith(`500 nothing was changed: ${deny} cannot be written (`);
      if (mount.exitCode === 0) expect(answer).toContain("(ENOSPC): make room on that disk");
      expect(read(deny)).toBe(words);
      expect(existsSync(`${deny}.new`)).toBe(mount.exitCode !== 0);
      expect(await sentenceUdp(running.tracker, { hash: old })).toBe(DENIED);
      expect(await sentenceUdp(running.tracker, { hash: next })).toBe("served");
    } finally {
      if (mount.exitCode === 0) Bun.spawnSync(["umount", disk]);
    }
  });
});

describe("the admin address", () => {
  test("refuses changes without a token set, and shows health without a token", async () => {
    const port = freePort();
    const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${port}` };
    await using tracker = await startTracker({ env });
    const url = `http://127.0.0.1:${port}`;
    expect(await (await fetch(`${url}/health`)).text()).toBe("ok\n");
    expect(tracker.running).toBe(true);
    const put = await fetch(`${url}/access/deny/${"0".repeat(40)}`, { method: "PUT" });
    expect(put.status).toBe(403);
  });

  test("that is the default and in use causes a warning only", async () => {
    // Another program on the address does as well.
    const takeIt = () =>
      Bun.serve({ hostname: "127.0.0.1", port: 6970, fetch: () => new Response() });
    let server: ReturnType<typeof takeIt> | undefined;
    try {
      server = takeIt();
    } catch {
      server = undefined;
    }
    const port = freePort();
    const address = `127.0.0.1:${port}`;
    await using tracker = startProcess({
      port,
      env: { TRACKER_UDP_ADDRESS: address, TRACKER_HTTP_ADDRESS: address },
    });
    await tracker.says("admin port 6970 is already in use");
    expect(await sentenceHttp(tracker, { hash: randomBytes(20) })).toBe("served");
    await server?.stop(true);
  });

  test("that is the default and in use is an error if a token is set", async () => {
    let server: ReturnType<typeof Bun.serve> | undefined;
    try {
      server = Bun.serve({ hostname: "127.0.0.1", port: 6970, fetch: () => new Response() });
    } catch {
      // Another program of this machine has it, which is as good.
    }
    const address = `127.0.0.1:${freePort()}`;
    const child = startProcess({
      env: {
        TRACKER_UDP_ADDRESS: address,
        TRACKER_HTTP_ADDRESS: address,
        TRACKER_ADMIN_TOKEN: TOKEN,
      },
    });
    expect(await child.exited(3000)).toBe(1);
    expect(child.stderr).toContain("error: admin port 6970 is already in use");
    await server?.stop(true);
  });

  test("gets no token from a verb if another program has the port", async () => {
    const sent: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(req) {
        sent.push([req.method, req.url, ...req.headers].join(" "));
        return new Response("it is now on the deny list\n");
      },
    });
    const env = {
      TRACKER_ADMIN_ADDRESS: `127.0.0.1:${server.port}`,
      TRACKER_ADMIN_TOKEN: TOKEN,
    };
    for (const args of [
      ["deny", "0".repeat(40)],
      ["forget", "0".repeat(40)],
      ["maintenance", "on"],
      ["top"],
      ["health"],
    ]) {
      const child = startProcess({ args, env });
      expect(await child.exited()).toBe(1);
      expect(child.stdout + child.stderr).not.toContain("deny list");
    }
    expect(sent.length).toBeGreaterThan(3);
    expect(sent.join()).not.toMatch(new RegExp(`${TOKEN}|authorization|PUT|DELETE`, "i"));
    await server.stop(true);
  });

  test("that was set and is in use is an error", async () => {
    const port = freePort();
    const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${port}` };
    await using first = await startTracker({ env });
    const second = freePort();
    const child = startProcess({
      env: {
        TRACKER_UDP_ADDRESS: `127.0.0.1:${second}`,
        TRACKER_HTTP_ADDRESS: `127.0.0.1:${second}`,
        ...env,
      },
    });
    expect(await child.exited(3000)).toBe(1);
    expect(child.stderr).toContain(`admin port ${port} is already in use`);
    expect(child.stderr).toContain("or set TRACKER_ADMIN_ADDRESS");
    expect(first.running).toBe(true);
  });
});

/** Milliseconds that the event loop of a process has worked, which others on the machine do not. */
function workOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ")[0]) / 1e6;
}

test(
  "a reload of a million hashes does not keep announces waiting",
  async () => {
    const random = randomBytes(65_536).toHex();
    const lines = Array.from({ length: 1_000_000 }, (_, n) => {
      const at = (n * 37) % (random.length - 40);
      return `${n.toString(16).padStart(8, "0")}${random.slice(at, at + 32)}`;
    });
    const deny = fileOf(lines.join("\n"));
    await using running = await start({ TRACKER_DENY_FILE: deny }, "0");
    const { tracker } = running;
    const hash = randomBytes(20);
    using client = await openDatagrams("127.0.0.1", tracker.port);
    const connectionId = await client.connect();
    tracker.signal("SIGHUP");
    let asked = 0;
    let worst = 0;
    while (!tracker.stderr.includes("msg=reloaded denied=1000000")) {
      const before = workOf(tracker.pid);
      client.send(announceRequest({ connectionId, infoHash: hash, port: 7003 }));
      await client.receive();
      worst = Math.max(worst, workOf(tracker.pid) - before);
      asked += 1;
      await Bun.sleep(1);
    }
    expect(asked).toBeGreaterThan(20);
    // A turn of the reload takes two milliseconds; a list that is read in one go takes hundreds.
    expect(worst).toBeLessThan(60);
  },
  SLOW_MILLISECONDS,
);
