/**
 * The compiled binary as an operator and its clients meet it: start, refusal to start, answers over
 * real sockets, end.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { decodeDictionary, type Dictionary } from "./bencode.ts";
import {
  announceRequest,
  openDatagrams,
  randomBytes,
  readAnnounceAnswer,
  readPeerIpv4,
  type AnnounceAnswer,
  isAround,
} from "./datagrams.ts";
import { freePort, startProcess, startTracker, type Tracker } from "./harness.ts";
import { exchangeTcp, readResponses, type HttpResponse } from "./raw-http.ts";

const HALF_MINUTE_MILLISECONDS = 30_000;

describe("starting", () => {
  test("it answers within a second", async () => {
    const times: number[] = [];
    for (let start = 0; start < 3; start++) {
      await using tracker = await startTracker();
      times.push(tracker.readyMilliseconds);
    }
    expect(Math.min(...times)).toBeLessThan(1000);
  });

  test("it logs in a few lines where it listens, and writes nothing to stdout", async () => {
    await using tracker = await startTracker();
    const { port } = tracker;
    const lines = tracker.stderr.trimEnd().split("\n");
    const told = (protocol: RegExp) =>
      lines.filter((line) => protocol.test(line) && line.includes(`[::]:${port}`));
    expect(told(/udp/i)).not.toBeEmpty();
    expect(told(/http/i)).not.toBeEmpty();
    // Warnings about the machine come on top, with their remedy.
    const usual = lines.filter((line) => !line.includes("level=warn"));
    expect(usual.length).toBeLessThanOrEqual(4);
    expect(tracker.stdout).toBe("");
  });

  test("an empty address turns a transport off", async () => {
    await using udpOnly = await startTracker({ env: { TRACKER_HTTP_ADDRESS: "" } });
    const request = exchangeTcp({ host: "127.0.0.1", port: udpOnly.port, pieces: [] });
    await expect(request).rejects.toThrow("ECONNREFUSED");
    await using httpOnly = await startTracker({ env: { TRACKER_UDP_ADDRESS: "" } });
    using client = await openDatagrams("127.0.0.1", httpOnly.port);
    await expect(client.connect(300)).rejects.toThrow("no answer over UDP");
  });

  test("it listens on every address of a list", async () => {
    const [first, second] = [freePort(), freePort()];
    const list = `127.0.0.1:${first},[::1]:${second}`;
    await using tracker = await startTracker({
      port: first,
      env: { TRACKER_UDP_ADDRESS: list, TRACKER_HTTP_ADDRESS: list },
    });
    for (const [host, port] of [
      ["127.0.0.1", tracker.port],
      ["::1", second],
    ] as const) {
      using client = await openDatagrams(host, port);
      expect(await client.connect()).toHaveLength(8);
      const pieces = [Buffer.from("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")];
      const answer = await exchangeTcp({ host, port, pieces });
      expect(readResponses(answer.bytes, answer.closed)[0]!.status).toBe(200);
    }
  });

  test("it ignores .env and bunfig.toml in its working directory", async () => {
    const directory = await mkdtemp(join(tmpdir(), "buntracker-cwd-"));
    try {
      const marker = join(directory, "marker");
      await Bun.write(join(directory, ".env"), "TRACKER_INTERVAL=nonsense\n");
      await Bun.write(join(directory, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
      await Bun.write(
        join(directory, "preload.ts"),
        `require("node:fs").writeFileSync(${JSON.stringify(marker)}, "");\n`,
      );
      await using tracker = await startTracker({ cwd: directory });
      expect(tracker.stderr).not.toContain("nonsense");
      expect(await Bun.file(marker).exists()).toBe(false);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe("refusing to start", () => {
  test.each([
    ["HTTP", "TRACKER_UDP_ADDRESS"],
    ["UDP", "TRACKER_HTTP_ADDRESS"],
  ])("a taken %s port is one sentence and a hint", async (_transport, otherVariable) => {
    await using first = await startTracker();
    const address = `[::]:${first.port}`;
    const second = startProcess({
      env: {
        TRACKER_UDP_ADDRESS: address,
        TRACKER_HTTP_ADDRESS: address,
        [otherVariable]: "",
      },
    });
    // Under five seconds, so that a tracker that did start is killed before the test ends.
    expect(await second.exited(3000)).toBe(1);
    expectErrorAndHint(second.stderr);
    expect(second.stderr).toContain(String(first.port));
  });

  test("a wrong configuration is exit code 78, with all its errors", async () => {
    const tracker = startProcess({
      env: {
        TRACKER_INTERVAL: "soon",
        TRACKER_NUMWANT_MAX: "-1",
        TRACKER_PEER_TIMOUT: "45m",
        TRACKER_UDP_ADDRESS: "6969",
      },
    });
    expect(await tracker.exited()).toBe(78);
    for (const seen of ["TRACKER_INTERVAL", "soon", "-1", "TRACKER_PEER_TIMOUT", "6969"]) {
      expect(tracker.stderr).toContain(seen);
    }
    expect(tracker.stderr).not.toMatch(/^\s+at /m);
  });

  test("unusable files are exit code 78, too, for the start and for check", async () => {
    const env = {
      TRACKER_DENY_FILE: "/nowhere/denied",
      TRACKER_RULES_FILE: "/nowhere/rules",
      TRACKER_USER: "no-such-user",
    };
    const said: string[] = [];
    for (const args of [[], ["check"]]) {
      const tracker = startProcess({ env, args });
      expect(await tracker.exited()).toBe(78);
      for (const [variable, value] of Object.entries(env)) {
        expect(tracker.stderr).toMatch(new RegExp(`error: ${variable} is "?${value}`));
      }
      said.push(tracker.stderr);
    }
    expect(said[0]).toBe(said[1]!);
  });
});

describe("ending", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s under load ends it with exit code 0",
    async (name) => {
      await using tracker = await startTracker();
      const load = startLoad(tracker.port);
      try {
        await Bun.sleep(300);
        expect(load.answers()).toBeGreaterThan(50);
        tracker.signal(name);
        expect(await tracker.exited()).toBe(0);
      } finally {
        await load.stop();
      }
    },
    HALF_MINUTE_MILLISECONDS,
  );

  test("a signal that arrives twice at once, as in a process group, counts once", async () => {
    for (const name of ["SIGTERM", "SIGINT"] as const) {
      await using tracker = await startTracker();
      tracker.signal(name);
      tracker.signal(name);
      await Bun.sleep(20);
      if (tracker.running) tracker.signal(name);
      expect(await tracker.exited()).toBe(0);
      expect(tracker.stderr).toContain("stopped");
    }
  });

  test(
    "a second signal ends it at once, even while a client is slow",
    async () => {
      await using tracker = await startTracker();
      const dawdling = exchangeTcp({
        host: "127.0.0.1",
        port: tracker.port,
        pieces: [Buffer.from("GET /announce")],
        timeoutMilliseconds: 15_000,
      });
      await Bun.sleep(100);
      tracker.signal("SIGTERM");
      // A repeat within this time counts as the same signal.
      await Bun.sleep(400);
      if (tracker.running) tracker.signal("SIGTERM");
      await tracker.exited(1000);
      await dawdling;
    },
    HALF_MINUTE_MILLISECONDS,
  );
});

describe("answering", () => {
  let tracker: Tracker;
  beforeAll(async () => {
    tracker = await startTracker();
  });
  afterAll(async () => {
    await tracker.stop();
  });

  test("the announce of a common client is answered byte for byte as documented", async () => {
    const request =
      "GET /announce?info_hash=%124Vx%9a%bc%de%f1%23Eg%89%ab%cd%ef%124Vx%9a" +
      "&peer_id=-qB4520-aBcDeFgHiJkL&port=6881&uploaded=0&downloaded=0&left=1048576" +
      "&corrupt=0&key=30D185D1&event=started&numwant=200&compact=1&no_peer_id=1" +
      "&supportcrypto=1&redundant=0 HTTP/1.1\r\n" +
      "Host: tracker.example:6969\r\nUser-Agent: qBittorrent/4.5.2\r\n" +
      "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n";
    const [response] = await requestBytes(request, 1);
    expect(response!.status).toBe(200);
    const text = Buffer.from(response!.body).toString("latin1");
    const [, interval] = /8:intervali(\d{4})e/.exec(text) ?? [];
    expect(isAround(interval, 1800)).toBe(true);
    expect(text).toBe(
      "d8:completei0e10:downloadedi0e11:external ip4:\x7f\x00\x00\x0110:incompletei1e" +
        `8:intervali${interval}e12:min intervali900e5:peers0:e`,
    );
  });

  test("a peer announced over HTTP is handed out over UDP", async () => {
    const infoHash = randomBytes(20);
    await announceHttp(infoHash, { host: "127.0.0.1", source: "127.0.0.4", port: 7001 });
    const { interval, ...rest } = await announceUdp(infoHash, {
      source: "127.0.0.5",
      port: 7002,
    });
    expect(isAround(interval, 1800)).toBe(true);
    expect(rest).toEqual({ leechers: 2, seeders: 0, peers: ["127.0.0.4:7001"] });
  });

  test("a peer announced over UDP is handed out over HTTP", async () => {
    const infoHash = randomBytes(20);
    await announceUdp(infoHash, { source: "127.0.0.4", port: 7001 });
    const answer = await announceHttp(infoHash, {
      host: "127.0.0.1",
      source: "127.0.0.5",
      port: 7002,
    });
    expect(peersOf(answer)).toEqual(["127.0.0.4:7001"]);
    expect(answer.incomplete).toBe(2);
  });

  test("an IPv4 client of the dual-stack socket is an IPv4 peer on both transports", async () => {
    const infoHash = randomBytes(20);
    await announceHttp(infoHash, { host: "127.0.0.1", source: "127.0.0.4", port: 7001 });
    await announceUdp(infoHash, { source: "127.0.0.5", port: 7002 });
    const answer = await announceHttp(infoHash, { host: "::1", port: 7003 });
    expect(peersOf(answer).sort()).toEqual(["127.0.0.4:7001", "127.0.0.5:7002"]);
    expect(answer.peers6).toBe("");
    expect(answer["external ip"]).toBe(`${"\0".repeat(15)}\x01`);
  });

  test("an IPv6 peer is handed to all over HTTP, and over UDP to IPv6 clients only", async () => {
    const infoHash = randomBytes(20);
    const loopback = "00000000000000000000000000000001";
    await announceUdp(infoHash, { host: "::1", port: 7001 });
    const overHttp = await announceHttp(infoHash, { host: "127.0.0.1", port: 7002 });
    expect(Buffer.from(String(overHttp.peers6), "latin1").toString("hex")).toBe(`${loopback}1b59`);
    const overUdp = await announceUdp(infoHash, { source: "127.0.0.5", port: 7003 });
    expect(overUdp.peers).toEqual(["127.0.0.1:7002"]);
    const sameFamily = await announceUdp(infoHash, { host: "::1", port: 7004 });
    expect(sameFamily.peers).toEqual([`${loopback}1b59`]);
  });

  test("a connection serves one request after another", async () => {
    const one = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    const answer = await exchangeTcp({
      host: "127.0.0.1",
      port: tracker.port,
      pieces: [one, one, one].map((text) => Buffer.from(text)),
      delayMilliseconds: 50,
      responses: 3,
    });
    const statuses = readResponses(answer.bytes, answer.closed).map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 200]);
    expect(answer.closed).toBe(false);
  });

  test("pipelined requests are answered in their order", async () => {
    const infoHashes = Array.from({ length: 20 }, () => randomBytes(20));
    const requests = infoHashes.map((hash) => scrapeRequest(hash)).join("");
    const responses = await requestBytes(requests, infoHashes.length);
    const scraped = responses.map(({ body }) => {
      const files = decodeDictionary(body).files as Dictionary;
      return Object.keys(files).map((key) => Buffer.from(key, "latin1").toString("hex"));
    });
    expect(scraped).toEqual(infoHashes.map((hash) => [hash.toHex()]));
  });

  test("Connection: close and HTTP/1.0 close the connection after the answer", async () => {
    for (const request of [
      "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      "GET /health HTTP/1.0\r\n\r\n",
    ]) {
      const answer = await exchangeTcp({
        host: "127.0.0.1",
        port: tracker.port,
        pieces: [Buffer.from(request)],
        responses: 2,
      });
      expect(readResponses(answer.bytes, true)[0]!.status).toBe(200);
      expect(answer.closed).toBe(true);
    }
  });

  test("clients that vanish before their answer do not affect other clients", async () => {
    using healthy = await openDatagrams("127.0.0.1", tracker.port, "127.0.0.6");
    let answered = 0;
    for (let round = 0; round < 50; round++) {
      const vanishing = await openDatagrams("127.0.0.1", tracker.port, "127.0.0.7");
      vanishing.send(Buffer.from("0000041727101980000000000badcafe", "hex"));
      vanishing.close();
      // Half of the rounds give the ICMP error time to reach the tracker's socket first.
      if (round % 2 === 0) await Bun.sleep(5);
      if (await healthy.connect(1000).catch(() => undefined)) answered++;
    }
    expect(answered).toBe(50);
  }, 60_000);

  test("vanishing clients of the other family do not either", async () => {
    using healthy = await openDatagrams("::1", tracker.port);
    let answered = 0;
    for (let round = 0; round < 50; round++) {
      const vanishing = await openDatagrams("::1", tracker.port);
      vanishing.send(Buffer.from("0000041727101980000000000badcafe", "hex"));
      vanishing.close();
      if (round % 2 === 0) await Bun.sleep(5);
      if (await healthy.connect(1000).catch(() => undefined)) answered++;
    }
    expect(answered).toBe(50);
  }, 60_000);

  interface Announcer {
    host?: string;
    source?: string;
    port: number;
  }

  async function announceUdp(infoHash: Uint8Array, from: Announcer): Promise<AnnounceAnswer> {
    const host = from.host ?? "127.0.0.1";
    using client = await openDatagrams(host, tracker.port, from.source);
    const connectionId = await client.connect();
    const request = announceRequest({ connectionId, infoHash, port: from.port });
    const answers = await client.exchange(request);
    expect(answers).toHaveLength(1);
    return readAnnounceAnswer(answers[0]!, host.includes(":") ? 18 : 6);
  }

  async function announceHttp(infoHash: Uint8Array, from: Announcer): Promise<Dictionary> {
    const query = `info_hash=${escapeAll(infoHash)}&peer_id=-EE0001-abcdefghijkl&port=${from.port}`;
    const request =
      `GET /announce?${query}&uploaded=0&downloaded=0&left=1000&compact=1 HTTP/1.1\r\n` +
      "Host: x\r\nConnection: close\r\n\r\n";
    const answer = await exchangeTcp({
      host: from.host ?? "127.0.0.1",
      port: tracker.port,
      pieces: [Buffer.from(request)],
      ...(from.source === undefined ? {} : { source: from.source }),
    });
    return decodeDictionary(readResponses(answer.bytes, answer.closed)[0]!.body);
  }

  async function requestBytes(text: string, responses: number): Promise<HttpResponse[]> {
    const answer = await exchangeTcp({
      host: "127.0.0.1",
      port: tracker.port,
      pieces: [Buffer.from(text)],
      responses,
    });
    return readResponses(answer.bytes, answer.closed);
  }
});

function scrapeRequest(infoHash: Uint8Array): string {
  return `GET /scrape?info_hash=${escapeAll(infoHash)} HTTP/1.1\r\nHost: x\r\n\r\n`;
}

function escapeAll(bytes: Uint8Array): string {
  return bytes.toHex().replace(/../g, "%$&");
}

function peersOf(answer: Dictionary): string[] {
  const bytes = Buffer.from(String(answer.peers), "latin1");
  const peers: string[] = [];
  for (let at = 0; at < bytes.length; at += 6) peers.push(readPeerIpv4(bytes.subarray(at, at + 6)));
  return peers;
}

/** One sentence for the error, one for the remedy; no stack trace, nothing else. */
function expectErrorAndHint(stderr: string): void {
  const lines = stderr.trimEnd().split("\n");
  expect(lines.filter((line) => line.startsWith("buntracker: error: "))).toHaveLength(1);
  expect(lines.filter((line) => line.startsWith("buntracker: hint: "))).toHaveLength(1);
  expect(stderr).not.toMatch(/^\s+at /m);
}

/** Announces over both transports from a few clients until told to stop. */
function startLoad(port: number): { answers: () => number; stop: () => Promise<void> } {
  let answers = 0;
  let stopped = false;
  const overHttp = async (): Promise<void> => {
    while (!stopped) {
      const query = `info_hash=${escapeAll(randomBytes(20))}&port=6881&left=1`;
      const response = await fetch(`http://127.0.0.1:${port}/announce?${query}`).catch(() => null);
      if (response === null) return;
      await response.arrayBuffer().catch(() => undefined);
      answers++;
    }
  };
  const overUdp = async (): Promise<void> => {
    using client = await openDatagrams("127.0.0.1", port);
    while (!stopped) {
      if ((await client.connect(500).catch(() => undefined)) === undefined) return;
      answers++;
    }
  };
  const lanes = [overHttp(), overHttp(), overHttp(), overHttp(), overUdp(), overUdp()];
  return {
    answers: () => answers,
    stop: async () => {
      stopped = true;
      await Promise.all(lanes);
    },
  };
}
