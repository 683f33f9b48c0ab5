/**
 * The same requests to this tracker and to opentracker, and the same replies, but for what this one
 * does otherwise on purpose. Each such deviation is a test of its own, named for it, that shows
 * both answers: if either changes, this file must.
 *
 * opentracker is the package of that name of Debian: IPv4, and only the info hashes of a file.
 * Where it is not installed there is nothing to compare with, and one test says so.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeDictionary, type Dictionary } from "./bencode.ts";
import { announceRequest, type Datagrams, openDatagrams, readAnnounceAnswer } from "./datagrams.ts";
import { freePort, startTracker, type Tracker } from "./harness.ts";
import { exchangeTcp, readResponses } from "./raw-http.ts";

const PROGRAM = "/usr/bin/opentracker";
const HOST = "127.0.0.1";

/** Info hashes that opentracker serves: one for each test, so that tests share no peers. */
const HASHES = Array.from({ length: 32 }, (_, i) => (0x10 + i).toString(16).repeat(20));
let used = 0;
const nextHash = (): string => HASHES[used++]!;
const escaped = (hex: string): string => hex.replaceAll(/../g, "%$&");

interface Answer {
  status: number;
  body: Buffer;
}

/** A GET over a connection of its own; from another loopback address, if that is given. */
async function get(port: number, target: string, source = HOST): Promise<Answer> {
  const request = `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  const pieces = [Buffer.from(request, "latin1")];
  const { bytes, closed } = await exchangeTcp({ host: HOST, port, pieces, source });
  const [response] = readResponses(bytes, closed);
  return { status: response?.status ?? 0, body: Buffer.from(response?.body ?? []) };
}

if (!existsSync(PROGRAM)) {
  test("opentracker is not installed here, so nothing is compared with it", () => {
    expect(existsSync(PROGRAM)).toBe(false);
  });
} else {
  describe("beside opentracker", () => {
    let ours: Tracker;
    let theirs: { port: number; process: Bun.Subprocess };
    const folder = mkdtempSync(join(tmpdir(), "buntracker-opentracker-"));

    beforeAll(async () => {
      ours = await startTracker({ address: "0.0.0.0", env: { TRACKER_ADMIN_ADDRESS: "" } });
      theirs = await startOpentracker(folder);
    });
    afterAll(async () => {
      theirs.process.kill("SIGINT");
      await theirs.process.exited;
      await ours.stop();
      rmSync(folder, { recursive: true });
    });

    /** What both answer. */
    async function ask(target: string, source = HOST): Promise<{ ours: Answer; theirs: Answer }> {
      return {
        ours: await get(ours.port, target, source),
        theirs: await get(theirs.port, target, source),
      };
    }

    async function announce(hash: string, parameters: string, source = HOST) {
      const query = `info_hash=${escaped(hash)}&peer_id=${"p".repeat(20)}&${parameters}`;
      const both = await ask(`/announce?${query}`, source);
      return { ours: read(both.ours), theirs: read(both.theirs) };
    }

    async function scrape(...hashes: string[]): Promise<{ ours: Answer; theirs: Answer }> {
      return ask(`/scrape?${hashes.map((hash) => `info_hash=${escaped(hash)}`).join("&")}`);
    }

    test("counts are the same through the life of a swarm", async () => {
      const hash = nextHash();
      const steps: [parameters: string, source: string][] = [
        ["port=1001&left=5", "127.0.0.1"],
        ["port=1001&left=5", "127.0.0.1"],
        ["port=1002&left=5&event=started", "127.0.0.1"],
        ["port=1001&left=0", "127.0.0.2"],
        ["port=1001&left=0&event=completed", "127.0.0.1"],
        ["port=1001&left=0&event=completed", "127.0.0.1"],
        ["port=1003&left=5&event=completed", "127.0.0.3"],
        ["port=1001&left=7", "127.0.0.2"],
        ["port=1002", "127.0.0.1"],
        ["port=1001&left=0&event=stopped", "127.0.0.1"],
        ["port=9999&left=0&event=stopped", "127.0.0.9"],
        ["port=1004&left=9&event=nonsense", "127.0.0.4"],
      ];
      for (const [parameters, source] of steps) {
        const both = await announce(hash, parameters, source);
        const counts = ({ complete, incomplete }: Dictionary) => [complete, incomplete];
        expect([parameters, counts(both.ours)]).toEqual([parameters, counts(both.theirs)]);
        const { ours, theirs } = await scrape(hash);
        expect(files(ours)).toEqual(files(theirs));
      }
    });

    test("a leecher gets the same peers", async () => {
      const hash = nextHash();
      for (const source of ["127.0.0.5", "127.0.0.6"])
        await announce(hash, "port=81&left=0", source);
      await announce(hash, "port=82&left=1", "127.0.0.7");
      const both = await announce(hash, "port=83&left=1", "127.0.0.8");
      const self = "127.0.0.8:83";
      expect(peers(both.theirs).filter((peer) => peer !== self)).toEqual(peers(both.ours));
      expect(peers(both.ours)).toEqual(["127.0.0.5:81", "127.0.0.6:81", "127.0.0.7:82"]);
    });

    test.each([
      ["numwant=0", 0],
      ["numwant=2", 2],
      ["numwant=-1", 5],
      ["numwant=500", 5],
    ])("%s asks both for as many peers", async (numwant, count) => {
      const hash = nextHash();
      for (let i = 1; i <= 5; i++) await announce(hash, `port=${i}&left=1`, "127.0.0.2");
      // Port 0 keeps the announcer itself out of our reply and is what theirs may show.
      const both = await announce(hash, `port=5&left=1&${numwant}`, "127.0.0.2");
      const wanted = count === 5 ? [4, 5] : [count, count];
      expect([peers(both.ours).length, peers(both.theirs).length]).toEqual(wanted);
    });

    test("intervals lie in the same range, the minimum is half of it", async () => {
      const both = await announce(nextHash(), "port=1&left=0");
      for (const reply of [both.ours, both.theirs]) {
        expect(Math.abs(Number(reply["interval"]) - 1800)).toBeLessThanOrEqual(180);
        expect(Math.abs(Number(reply["min interval"]) - 900)).toBeLessThanOrEqual(90);
      }
    });

    test.each(["/nothing", "/x/y"])("%s is not found", async (target) => {
      const both = await ask(target);
      expect([both.ours.status, both.theirs.status]).toEqual([404, 404]);
    });

    test.each([
      ...["/a", "/announce.php", "/announces", "/announce/0a1b2c", "/announce.php/0a1b2c"],
      ...["/abc/x", "/announce%20"],
    ])("%s is an announce", async (path) => {
      const query = `info_hash=${escaped(nextHash())}&peer_id=${"p".repeat(20)}&port=1&left=1`;
      const { ours, theirs } = await ask(`${path}?${query}`);
      expect([read(ours)["incomplete"], read(theirs)["incomplete"]]).toEqual([1, 1]);
    });

    test.each(["/sc", "/scarlet", "/scrape.php", "/scrape/0a1b2c", "/scrape.php/0a1b2c"])(
      "%s is a scrape",
      async (path) => {
        const hash = nextHash();
        await announce(hash, "port=1&left=1");
        const { ours, theirs } = await ask(`${path}?info_hash=${escaped(hash)}`);
        expect(files(ours)).toEqual(files(theirs));
      },
    );

    test("UDP gives the same counts and peers", async () => {
      const hash = nextHash();
      for (const source of ["127.0.0.5", "127.0.0.6"])
        await announce(hash, "port=81&left=0", source);
      const answers = [];
      for (const port of [ours.port, theirs.port]) {
        using client = await openDatagrams(HOST, port);
        const id = await client.connect();
        const infoHash = Buffer.from(hash, "hex");
        const request = announceRequest({ connectionId: id, infoHash, port: 99, left: 1 });
        const { seeders, leechers, peers } = readAnnounceAnswer(
          (await announcedBy(client, request))!,
          6,
        );
        const others = peers.filter((peer) => peer !== "127.0.0.1:99").toSorted();
        answers.push({ seeders, leechers, peers: others });
      }
      expect(answers[0]).toEqual(answers[1]!);
      expect(answers[0]!.peers).toEqual(["127.0.0.5:81", "127.0.0.6:81"]);
    });

    describe("with intended differences:", () => {
      test("the announcer does not get itself", async () => {
        const both = await announce(nextHash(), "port=1&left=1");
        expect(peers(both.ours)).toEqual([]);
        expect(peers(both.theirs)).toEqual(["127.0.0.1:1"]);
      });

      test("a seeder gets leechers only", async () => {
        const hash = nextHash();
        await announce(hash, "port=1&left=0", "127.0.0.2");
        await announce(hash, "port=2&left=1", "127.0.0.2");
        const both = await announce(hash, "port=3&left=0", "127.0.0.2");
        expect(peers(both.ours)).toEqual(["127.0.0.2:2"]);
        expect(peers(both.theirs)).toContain("127.0.0.2:1");
      });

      test("port 0 is not stored", async () => {
        const both = await announce(nextHash(), "port=0&left=0");
        expect([both.ours["complete"], both.theirs["complete"]]).toEqual([0, 1]);
      });

      test.each(["4294967296", "8589934592"])("left=%s is a leecher", async (left) => {
        const both = await announce(nextHash(), `port=1&left=${left}`);
        expect([both.ours["complete"], both.theirs["complete"]]).toEqual([0, 1]);
      });

      test("text for left is a leecher", async () => {
        const both = await announce(nextHash(), "port=1&left=many");
        expect([both.ours["complete"], both.theirs["complete"]]).toEqual([0, 1]);
      });

      test("compact=0 is answered", async () => {
        const query = `/announce?info_hash=${escaped(nextHash())}&port=1&left=1&compact=0`;
        const both = await ask(query);
        expect(read(both.ours)["peers"]).toEqual([]);
        expect(both.theirs.status).toBe(400);
      });

      test("a scrape shows zeros for unknown swarms, and no key twice", async () => {
        const [known, unknown] = [nextHash(), nextHash()];
        await announce(known, "port=1&left=1");
        const { ours, theirs } = await scrape(known, unknown, known);
        const counts = (incomplete: number) => ({ complete: 0, downloaded: 0, incomplete });
        expect(files(ours)).toEqual({ [latin1(known)]: counts(1), [latin1(unknown)]: counts(0) });
        expect(theirs.body.toString("latin1").split(latin1(known))).toHaveLength(3);
        expect(theirs.body.toString("latin1")).not.toContain(latin1(unknown));
      });

      test.each([
        "info_hash=short&port=1",
        `info_hash=${"%41".repeat(20)}&port=70000`,
        `info_hash=${"%41".repeat(20)}&port=1&peer_id=short`,
      ])("?%s is answered with a reason clients can show", async (query) => {
        const both = await ask(`/announce?${query}`);
        expect(both.ours.status).toBe(200);
        expect(String(read(both.ours)["failure reason"])).not.toBe("");
        expect(both.theirs.status).toBe(400);
      });

      test("info hashes need not be known before", async () => {
        const both = await announce("ff".repeat(20), "port=1&left=1");
        expect(both.ours["incomplete"]).toBe(1);
        expect(String(both.theirs["failure reason"])).toStartWith("Requested download is not");
      });

      test("the statistics are shown to this machine", async () => {
        const both = await ask("/stats?mode=version");
        expect([both.ours.status, both.theirs.status]).toEqual([200, 403]);
      });

      test("a bad connection id is answered with silence, not with a longer error", async () => {
        const answered: boolean[] = [];
        for (const port of [ours.port, theirs.port]) {
          using client = await openDatagrams(HOST, port);
          const connectionId = await client.connect();
          connectionId[7]! ^= 1;
          const infoHash = Buffer.from(HASHES[0]!, "hex");
          const request = announceRequest({ connectionId, infoHash, port: 1 });
          answered.push((await announcedBy(client, request)) !== undefined);
        }
        expect(answered).toEqual([false, true]);
      });
    });
  });
}

/** Starts opentracker for HASHES on a free port, and waits until it answers. */
async function startOpentracker(folder: string) {
  writeFileSync(join(folder, "hashes"), HASHES.map((hash) => `${hash}\n`).join(""));
  // As root it gives up its rights and must still be able to read the file.
  chmodSync(folder, 0o755);
  const port = freePort();
  // As root it changes its root to the folder; else the path is taken from the folder.
  const file = process.getuid?.() === 0 ? "/hashes" : join(folder, "hashes");
  const options = ["-i", HOST, "-p", `${port}`, "-P", `${port}`, "-d", folder, "-w", file];
  const child = Bun.spawn([PROGRAM, ...options], { stdout: "ignore", stderr: "ignore" });
  for (let attempt = 0; attempt < 200; attempt++) {
    const answer = await get(port, "/nothing").catch(() => undefined);
    if (answer?.status === 404) return { port, process: child };
    await Bun.sleep(20);
  }
  child.kill("SIGKILL");
  throw new Error("opentracker does not answer");
}

/** The answer that is not a connect response; undefined without one. */
async function announcedBy(
  client: Datagrams,
  request: Uint8Array,
): Promise<Uint8Array | undefined> {
  const answers = await client.exchange(request);
  return answers.find((answer) => answer[3] !== 0);
}

function read({ body }: Answer): Dictionary {
  return decodeDictionary(body);
}

const latin1 = (hex: string): string => Buffer.from(hex, "hex").toString("latin1");

/** The swarms of a scrape, by info hash. */
function files(answer: Answer): unknown {
  return read(answer)["files"];
}

/** IPv4 peers of a compact reply, in order of their text. */
function peers(reply: Dictionary): string[] {
  const value = reply["peers"] ?? "";
  const bytes = Buffer.from(value as string, "latin1");
  const found: string[] = [];
  for (let at = 0; at < bytes.length; at += 6) {
    found.push(`${bytes.subarray(at, at + 4).join(".")}:${bytes.readUInt16BE(at + 4)}`);
  }
  return found.toSorted();
}
