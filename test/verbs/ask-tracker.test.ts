/** The verbs that talk to a tracker: what they print, and their exit codes. */
import { describe, expect, test } from "bun:test";

import type { Change } from "../../src/access/keeper.ts";
import { createAdmin } from "../../src/admin/admin.ts";
import { ADMIN } from "../admin/fixture.ts";
import { fakeUdp } from "./fake-udp.ts";
import { FIGURES } from "./figures.ts";
import { clusterText } from "../../src/verbs/cluster-report.ts";
import { CLUSTER } from "../cluster/figures.ts";
import { cli } from "./run-cli.ts";

describe("health", () => {
  test("asks the first HTTP listener and the first UDP one", async () => {
    const paths: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        paths.push(new URL(request.url).pathname);
        return new Response("ok\n");
      },
    });
    const { port } = server;
    const udp = await fakeUdp();
    const env = {
      TRACKER_HTTP_ADDRESS: `127.0.0.1:${port},127.0.0.1:1`,
      TRACKER_UDP_ADDRESS: `127.0.0.1:${udp.port},127.0.0.1:1`,
    };
    expect(await cli(["health"], env)).toEqual({ code: 0, stdout: "ok\n", stderr: "" });
    expect(paths).toEqual(["/health"]);
    expect(udp.requests.map((request) => request.length)).toEqual([16, 98]);
    udp.close();
    expect(await cli(["health"], env)).toEqual({
      code: 1,
      stdout: "",
      stderr:
        `buntracker: error: no healthy answer from udp port ${udp.port}\n` +
        "buntracker: hint: start the tracker, or give this command the settings it runs with\n",
    });
    await server.stop(true);
    expect((await cli(["health"], env)).stderr).toStartWith(
      `buntracker: error: no healthy answer from http port ${port} and udp port ${udp.port}\n`,
    );
  });

  test.each([
    ["TRACKER_HTTP_ADDRESS", "TRACKER_UDP_ADDRESS"],
    ["TRACKER_UDP_ADDRESS", "TRACKER_HTTP_ADDRESS"],
  ])("does not ask %s where it is off", async (off, on) => {
    const udp = await fakeUdp();
    const http = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("ok") });
    const port = on.includes("UDP") ? udp.port : http.port;
    const env = { [off]: "", [on]: `127.0.0.1:${port}` };
    expect(await cli(["health"], env)).toEqual({ code: 0, stdout: "ok\n", stderr: "" });
    udp.close();
    await http.stop(true);
  });

  test.each(["TRACKER_HTTP_ADDRESS", "TRACKER_UDP_ADDRESS"])(
    "cannot know which port was meant by 0 in %s",
    async (variable) => {
      expect(await cli(["health"], { [variable]: "[::]:0" })).toEqual({
        code: 1,
        stdout: "",
        stderr:
          `buntracker: error: ${variable} has port 0, so the port that was chosen is not known\n` +
          "buntracker: hint: name a port where the tracker runs, and give this command the same\n",
      });
    },
  );
});

describe("advice", () => {
  test("dns prints the records of a name, with the ports that are set", async () => {
    const env = { TRACKER_UDP_ADDRESS: "[::]:7000" };
    const { code, stdout } = await cli(["dns", "tracker.example"], env);
    expect(code).toBe(0);
    expect(stdout).toContain('86400 IN TXT  "BITTORRENT UDP:7000 TCP:6969"\n');
  });

  test("dns needs a host name", async () => {
    expect((await cli(["dns", "192.0.2.1"])).stderr).toStartWith(
      'buntracker: error: "192.0.2.1" is an address: records are for a name\n',
    );
    expect((await cli(["dns", "[2001:db8::1]"])).stderr).toInclude("is an address");
    expect(await cli(["dns", "a b"])).toEqual({
      code: 1,
      stdout: "",
      stderr:
        'buntracker: error: "a b" is not a host name: write it without scheme and port, ' +
        "like tracker.example.org\n",
    });
    for (const argv of [["dns"], ["dns", "a", "b"], ["selftest"]]) {
      expect((await cli(argv)).code).toBe(2);
    }
  });

  test("selftest fails on any problem", async () => {
    const { code, stdout } = await cli(["selftest", "ftp://tracker.example/"]);
    expect(code).toBe(1);
    expect(stdout).toBe("ftp://tracker.example/\n  wrong: it is not udp, http, https, ws or wss\n");
  });

  test("top without a terminal prints the figures once", async () => {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => Response.json(FIGURES),
    });
    const { port } = server;
    const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${port}` };
    const { code, stdout } = await cli(["top"], env);
    expect(code).toBe(0);
    expect(stdout).toContain("buntracker 1.2.3");
    expect(stdout).not.toContain("\x1b");
    await server.stop(true);
    const { code: after, stderr } = await cli(["top"], env);
    expect(after).toBe(1);
    expect(stderr).toContain(`the tracker cannot be asked on port ${port}: `);
    expect((await cli(["top"], { TRACKER_ADMIN_ADDRESS: "" })).stderr).toContain("is empty");
  });
});

test.each(["deny", "allow", "forget"])("%s takes every form of an info hash", async (verb) => {
  const hashes: string[] = [];
  const keeper = {
    change: (_list: string, hash: Uint8Array): Promise<Change> => {
      hashes.push(hash.toHex());
      return Promise.resolve({ outcome: "changed" });
    },
    setMaintenance: () => Promise.resolve(),
  };
  const token = "0123456789abcdef";
  const admin = createAdmin({ ...ADMIN, token, keeper });
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: admin.fetch });
  const env = {
    TRACKER_ADMIN_ADDRESS: `127.0.0.1:${server.port}`,
    TRACKER_ADMIN_TOKEN: token,
  };
  const link = `magnet:?xt=urn:btih:${"b".repeat(40)}&xt=urn:btmh:1220${"c".repeat(64)}&dn=x y`;
  const { code } = await cli([verb, "A".repeat(32), link], env);
  expect(code).toBe(0);
  const wanted = ["0".repeat(40), "b".repeat(40), "c".repeat(40)];
  expect([...new Set(hashes)]).toEqual(wanted);
  const wrong = await cli([verb, "A".repeat(32), "magnet:?dn=x"], env);
  expect(wrong).toEqual({
    code: 1,
    stdout: "",
    stderr:
      'buntracker: error: "magnet:?dn=x" is not an info hash\n' +
      "buntracker: hint: write 40 or 64 hexadecimal digits, 32 of base32, or a magnet link in " +
      "quotes\n",
  });
  await server.stop(true);
});

describe("a change that the tracker refuses", () => {
  const hash = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
  const TOKEN = "0123456789abcdef";
  const NO_LIST: Change = { outcome: "no list" };
  const FULL: Change = { outcome: "failed", reason: "the disk is full", remedy: "make room" };

  test.each<[string, Change, string, string, string]>([
    ["no list", NO_LIST, TOKEN, "there is no deny list", "set it where the tracker runs"],
    ["a full disk", FULL, TOKEN, "error: nothing was changed: the disk is full: ", "make room"],
    ["another token", NO_LIST, `${TOKEN}x`, "does not know the token", "here as where the tracker"],
  ])(
    "for %s is told in its words, with what helps",
    async (_name, change, token, words, remedy) => {
      const keeper = {
        change: () => Promise.resolve(change),
        setMaintenance: () => Promise.resolve(),
      };
      const admin = createAdmin({ ...ADMIN, token, keeper });
      const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: admin.fetch });
      const env = {
        TRACKER_ADMIN_ADDRESS: `127.0.0.1:${server.port}`,
        TRACKER_ADMIN_TOKEN: TOKEN,
      };
      const { code, stdout, stderr } = await cli(["deny", hash], env);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toStartWith("buntracker: error: ");
      expect(stderr).toContain(words);
      expect(stderr).toContain(remedy);
      await server.stop(true);
    },
  );

  test("or cannot receive, is an error", async () => {
    const env = { TRACKER_ADMIN_ADDRESS: "127.0.0.1:1", TRACKER_ADMIN_TOKEN: TOKEN };
    for (const argv of [
      ["deny", hash],
      ["maintenance", "on"],
    ]) {
      const { code, stderr } = await cli(argv, env);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^buntracker: error: .* on port 1: nothing listens there: .*\n/);
      expect(stderr).toContain("hint: start the tracker, or give this command the settings");
    }
  });
});

describe("cluster", () => {
  const open = (page: () => Response) => {
    const admin = createAdmin({
      ...ADMIN,
      token: undefined,
      keeper: undefined!,
      pages: { "/cluster": page },
    });
    return Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: admin.fetch });
  };

  test("prints a table, or JSON", async () => {
    await using server = open(() => Response.json(CLUSTER));
    const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${server.port}` };
    const { code, stdout } = await cli(["cluster"], env);
    expect([code, stdout]).toEqual([0, clusterText(CLUSTER)]);
    const json = await cli(["cluster", "--format=json"], env);
    expect([json.code, JSON.parse(json.stdout)]).toEqual([0, CLUSTER]);
  });

  test("fails where there is no cluster, no sense, or no tracker", async () => {
    const alone = "this tracker is alone: set it";
    await using server = open(() => new Response(`${alone}\n`, { status: 404 }));
    const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${server.port}` };
    const { code, stderr } = await cli(["cluster"], env);
    expect([code, stderr]).toEqual([1, `buntracker: error: ${alone}\n`]);
    await using odd = open(() => new Response("{}"));
    const strange = await cli(["cluster"], { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${odd.port}` });
    expect(strange.stderr).toContain("the answer does not describe a cluster");
    const none = await cli(["cluster"], { TRACKER_ADMIN_ADDRESS: "127.0.0.1:1" });
    expect([none.code, none.stdout]).toEqual([1, ""]);
  });
});

describe("swarm", () => {
  const hash = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
  const TOKEN = "0123456789abcdef";
  const counts = { seeders: 1, leechers: 2 };
  const shown = (known: boolean) => ({
    info_hash: hash,
    known,
    ...counts,
    downloads: 0,
    ipv4: counts,
    ipv6: counts,
    announces_per_second: 0,
  });

  async function openTracker(known: boolean, token = TOKEN) {
    const queries: string[] = [];
    const swarms = (query: string) => {
      queries.push(query);
      return Promise.resolve([200, JSON.stringify({ swarms: [shown(known)] })] as const);
    };
    const admin = createAdmin({ ...ADMIN, token, keeper: undefined!, swarms });
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: admin.fetch });
    const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${server.port}` };
    return { queries, env, [Symbol.asyncDispose]: () => server.stop(true) };
  }

  test("prints counts without a token", async () => {
    await using tracker = await openTracker(true);
    const { code, stdout } = await cli(["swarm", hash.toUpperCase()], tracker.env);
    expect(code).toBe(0);
    expect(stdout).toStartWith(`${hash}\n  seeders    1      IPv4 1, IPv6 1\n`);
    expect(tracker.queries).toEqual([`?hash=${hash}`]);
  });

  test("prints JSON with --format=json, before the hash or behind it", async () => {
    await using tracker = await openTracker(true);
    for (const argv of [
      ["swarm", "--format=json", hash],
      ["swarm", hash, "--format=json"],
    ]) {
      const { code, stdout } = await cli(argv, tracker.env);
      expect([code, JSON.parse(stdout)]).toEqual([0, { swarms: [shown(true)] }]);
    }
  });

  test("asks for addresses with the token, and proves that it knows it", async () => {
    await using tracker = await openTracker(true);
    const env = { ...tracker.env, TRACKER_ADMIN_TOKEN: TOKEN };
    const { code } = await cli(["swarm", "--addresses", hash], env);
    expect([code, tracker.queries]).toEqual([0, [`?hash=${hash}&addresses=yes`]]);
    const none = await cli(["swarm", "--addresses", hash], tracker.env);
    expect(none.stderr).toContain("TRACKER_ADMIN_TOKEN is not set, which --addresses needs");
    const wrong = await cli(["swarm", hash], { ...env, TRACKER_ADMIN_TOKEN: `${TOKEN}x` });
    expect([wrong.code, wrong.stdout]).toEqual([1, ""]);
    expect(wrong.stderr).toContain("does not know the token");
  });

  test("fails if no swarm is known, for a wrong hash, and without a tracker", async () => {
    await using tracker = await openTracker(false);
    const unknown = await cli(["swarm", hash], tracker.env);
    expect([unknown.code, unknown.stdout]).toEqual([1, `${hash}   not known\n`]);
    expect((await cli(["swarm", "x"], tracker.env)).stderr).toContain('"x" is not an info hash');
    const nobody = await cli(["swarm", hash], { TRACKER_ADMIN_ADDRESS: "127.0.0.1:1" });
    expect(nobody.stderr).toContain("on port 1: nothing listens there");
  });
});
