import type { UpgradeRequest } from "../../src/net/tunnel.ts";
import { describe, expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { AnnounceQuery, ScrapeQuery } from "../../src/http/query.ts";
import { createHttp } from "../../src/http/routes.ts";
import { REFUSAL_BODY, REFUSAL_FAILURE, REFUSALS_HEAD } from "../../src/http/refusals.ts";
import type { HttpSettings } from "../../src/http/parts.ts";
import { counterMemory, Counters } from "../../src/counters/counters.ts";
import { Intervals } from "../../src/limits/intervals.ts";
import { notesMemory } from "../../src/notes/notes.ts";
import { OwnNames } from "../../src/net/own-names.ts";
import { Pages } from "../../src/opentracker/pages.ts";
import { limitsOf } from "../limits/fixture.ts";
import { makeTracker } from "../swarm/fixture.ts";
import { answerOf, type Asked, FakeCore, HASH, open, QUERY, SETTINGS } from "./fixture.ts";

/** The status of a request for `target` as it stands: a path, or a URL. */
function statusOf(target: string, method = "GET"): number {
  const { http } = open(new FakeCore());
  return (answerOf(http, { target, method }) as Response).status;
}

test.each([
  "/announce",
  "/announce.php",
  "/announce/",
  "//announce",
  "/announce//",
  "/0123456789abcdef/announce",
  "/any/thing//announce.php/",
  "/%61nnounce",
  "/announce/0123456789abcdef",
  "/a",
  "/announce%20",
  "/",
])("%s is an announce, with a host and without", async (path) => {
  const core = new FakeCore();
  const { http } = open(core);
  for (const start of ["", "http://h", "https://h", "http://tracker.example:6969", "http://[::1"]) {
    const version = start === "" ? "1.0" : "1.1";
    const answer = await answerOf(http, { target: `${start}${path}?${QUERY}`, version });
    expect(await answer.text()).toStartWith("d8:complete");
  }
  expect(core.calls).toHaveLength(5);
});

test.each([
  ...["/scrape", "/scrape.php", "/scrape/", "/passkey//scrape"],
  ...["/scrape/0123456789abcdef", "/sc", "/scrape%20"],
])("%s is a scrape", async (path) => {
  const answer = open(new FakeCore()).ask(`${path}?info_hash=${HASH}`);
  expect(await answer.text()).toStartWith("d5:files");
});

test("an announce to the root is no page and no redirect", async () => {
  const { ask } = open(new FakeCore(), { redirectUrl: "https://example.org/" });
  expect([ask("/").status, ask("?").status, ask("?x").status]).toEqual([302, 302, 302]);
  expect(await ask(`?${QUERY}`).text()).toStartWith("d8:complete");
  expect(await ask(`/?${QUERY}`).text()).toStartWith("d8:complete");
});

test.each(["/stats", "/live", "/health", "/ready", "/favicon.ico"])(
  "an announce to %s fails with the right path, in bencode, which clients show",
  async (path) => {
    const { ask, read, counters } = open(new FakeCore());
    expect(ask(`${path}?${QUERY}`).status).toBe(200);
    expect(await read(`${path}?${QUERY}`)).toEqual(
      new Map([
        ["failure reason", "this is a page of the tracker: its announce URL ends in /announce"],
      ]),
    );
    expect(counters.total("http:query")).toBe(2);
    expect(ask(`${path}?${QUERY}`, "192.0.2.1", { method: "POST" }).status).toBe(405);
  },
);

test.each([
  "/",
  "",
  "/announces",
  "/announce.html",
  "/ANNOUNCE",
  "/admin.php",
  "/scripts/x",
  "/a",
  "/xannounce",
  "/announce%22%7D,evil%7Bx=%22",
  "/x/health",
  "/?x=/announce",
  "/#/announce",
])("%s is not found", (path) => {
  expect(statusOf(`http://h${path}`)).toBe(404);
  const { ask, counters } = open(new FakeCore());
  ask("/robots.txt");
  expect(counters.total("http:not_found")).toBe(1);
});

test("an announce without a query is an announce without an info hash", async () => {
  const { read } = open(new FakeCore());
  for (const target of ["/announce", "/announce?", `/announce#?${QUERY}`]) {
    expect((await read(target)).get("failure reason")).toBe("info_hash is missing");
  }
});

test("only GET and HEAD are answered at existing paths", () => {
  for (const path of ["/announce", "/scrape", "/health", "/ready"]) {
    expect([path, statusOf(path, "GET")]).toEqual([path, 200]);
    expect([path, statusOf(path, "HEAD")]).toEqual([path, 200]);
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      expect([path, method, statusOf(path, method)]).toEqual([path, method, 405]);
    }
  }
  expect(statusOf("/other", "POST")).toBe(404);
  expect(statusOf("*", "OPTIONS")).toBe(404);
});

test("a refused method gets the list of methods, is counted, and does not reach the core", () => {
  const core = new FakeCore();
  const { ask, counters } = open(core);
  const answer = ask(`/announce?${QUERY}`, "192.0.2.1", { method: "POST" });
  expect(answer.headers.get("allow")).toBe("GET, HEAD");
  expect(counters.total("http:method")).toBe(1);
  expect(core.calls).toEqual([]);
});

test("what the server refuses itself is counted, a bug apart from the rest", () => {
  const { http, counters } = open(new FakeCore());
  for (const answer of Object.values(REFUSALS_HEAD)) http.noteRefusal!(answer);
  http.noteRefusal!(REFUSAL_BODY);
  http.noteRefusal!(REFUSAL_FAILURE);
  expect([counters.total("http:malformed"), counters.total("http:bug")]).toEqual([5, 1]);
});

test("a request for an icon is answered with 204 and not counted as an error", () => {
  const { ask, counters } = open(new FakeCore());
  const answer = ask("/favicon.ico");
  expect(answer.status).toBe(204);
  expect(answer.headers.get("cache-control")).toBe("max-age=604800");
  expect([counters.total("http:not_found"), counters.total("httpFront")]).toEqual([0, 1]);
});

test("health is 200 while the process runs, readiness follows the tracker", async () => {
  let ready = false;
  const { ask } = open(new FakeCore(), {}, () => ready);
  expect(ask("/ready").status).toBe(503);
  expect(await ask("/health").text()).toBe("ok");
  ready = true;
  expect(ask("/ready").status).toBe(200);
  expect(await ask("/ready/?x").text()).toBe("ok");
  expect(await ask("///ready").text()).toBe("ok");
});

describe("with enforced rate limits", () => {
  const openLimited = () => {
    const { limits } = limitsOf({ rates: { mode: "enforce" } });
    return open(new FakeCore(), { redirectUrl: "https://example.org/" }, () => true, limits);
  };

  test.each([
    ["/", "GET"],
    ["/live", "GET"],
    ["/favicon.ico", "HEAD"],
    ["/nothing", "GET"],
    ["/announce", "POST"],
    [`/health?${QUERY}`, "GET"],
  ])("%s by %s is limited like an announce", async (target, method) => {
    const { ask, counters } = openLimited();
    for (let i = 0; i < 60; i++) expect(ask(target, "192.0.2.1", { method }).status).not.toBe(429);
    const refused = ask(target, "192.0.2.1", { method });
    expect(refused.status).toBe(429);
    expect(await refused.text()).toBe("too many requests from your address or network\n");
    expect(counters.total("http:rate")).toBe(1);
    expect(ask(target, "198.51.100.1", { method }).status).not.toBe(429);
  });

  test.each(["/announce", "/announce?info_hash=a", "/scrape", "/scrape?info_hash=a"])(
    "%s is limited although it is malformed",
    async (target) => {
      const { read } = openLimited();
      for (let i = 0; i < 60; i++) expect((await read(target)).has("retry in")).toBe(false);
      expect((await read(target)).get("retry in")).toBe("1");
    },
  );

  test.each(["/announce", "/scrape"])("the query of a limited %s is not read", async (path) => {
    const { read } = openLimited();
    for (let i = 0; i < 60; i++) await read(path);
    const decode = spyOn(
      path === "/announce" ? AnnounceQuery.prototype : ScrapeQuery.prototype,
      "read",
    );
    try {
      expect((await read(`${path}?${QUERY}`)).get("retry in")).toBe("1");
      expect(decode).not.toHaveBeenCalled();
    } finally {
      decode.mockRestore();
    }
  });

  test.each(["/health", "/ready"])(
    "%s is not limited, because a refusal would cost as much",
    (target) => {
      const { ask } = openLimited();
      for (let i = 0; i < 100; i++) expect(ask(target).status).toBe(200);
      expect(ask("/nothing").status).toBe(404);
    },
  );
});

test("the bytes of requests and replies are counted", async () => {
  const { ask, counters } = open(new FakeCore());
  const body = await ask(`/announce?${QUERY}`).bytes();
  expect(counters.total("httpReceivedBytes")).toBe(
    `GET /announce?${QUERY} HTTP/1.1\r\nHost: tracker.example\r\n\r\n`.length,
  );
  expect(counters.total("httpSentBytes")).toBe(body.length);
  const failure = await ask("/scrape").bytes();
  expect(counters.total("httpSentBytes")).toBe(body.length + failure.length);
});

test("no target causes an exception", () => {
  const piece = fc.oneof(
    fc.constantFrom("/", "announce", "scrape", "?", "#", "http://h", QUERY, "&", "%", "info_hash="),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const target = pieces.join("").replaceAll(/[\0- \x7f]|[^\0-\xff]/g, "");
      expect([200, 404]).toContain(statusOf(`/${target}`));
      expect([200, 404]).toContain(statusOf(`http://h${target}`));
    }),
  );
});

test("a malformed proxy network is an error", () => {
  expect(() => open(new FakeCore(), { trustedProxies: ["proxy"] })).toThrow(
    '"proxy" is not a network',
  );
});

describe("with statistics", () => {
  const openPages = (networks: readonly string[], settings: Partial<HttpSettings> = {}) => {
    const { tracker, store } = makeTracker();
    const counters = new Counters(counterMemory(1), 0);
    const notes = notesMemory(1, { tickSeconds: 45, minimumSeconds: 900 });
    const pages = new Pages({
      store,
      counters,
      notes,
      now: () => 7,
      version: "tracker 1.0",
      settings: {
        statsNetworks: networks,
        fullScrapeNetworks: networks,
        fullScrapeIntervalSeconds: 300,
      },
    });
    const intervals = new Intervals({ interval: 1800, jitterPercent: 0, minimum: 900 });
    const http = createHttp({
      tracker: Object.assign(new FakeCore(), { request: tracker.request }),
      counters,
      intervals,
      now: () => 7,
      ready: () => true,
      pages,
      ownNames: new OwnNames(["tracker.example"]),
      settings: { ...SETTINGS, ...settings },
    });
    const ask = async (target: string, from = "192.0.2.1", how: Partial<Asked> = {}) =>
      answerOf(http, { target, from, ...how });
    return { ask, counters };
  };

  test("the pages are at their path, for their networks only", async () => {
    const { ask, counters } = openPages(["192.0.2.0/24"]);
    expect(await (await ask("/stats?mode=version")).text()).toBe("tracker 1.0\n");
    for (const path of ["//stats", "/stats//", "/%73tats"]) {
      expect(await (await ask(`${path}?mode=version`)).text()).toBe("tracker 1.0\n");
    }
    expect((await ask("/x/stats?mode=version")).status).toBe(404);
    expect((await ask("/stat/s?mode=version")).status).toBe(404);
    expect((await ask("/stats", "203.0.113.1")).status).toBe(403);
    expect((await ask("/stats", "192.0.2.1", { method: "POST" })).status).toBe(405);
    expect((await ask("/other")).status).toBe(404);
    expect([counters.total("httpStats"), counters.total("http:forbidden")]).toEqual([4, 1]);
  });

  test("the header of a trusted proxy decides the client", async () => {
    const settings = { trustedProxies: ["203.0.113.1"] };
    const { ask } = openPages(["192.0.2.0/24"], settings);
    const through = (client: string) =>
      ask("/stats", "203.0.113.1", { headers: { "X-Forwarded-For": client } });
    expect((await through("192.0.2.9")).status).toBe(200);
    expect((await through("198.51.100.1")).status).toBe(403);
    const unnamed = await ask("/stats", "203.0.113.1");
    expect(unnamed.status).toBe(403);
    expect(await unnamed.text()).toStartWith("the proxy in front of this tracker did not send");
  });

  test("a scrape without hashes is a full scrape for permitted clients only", async () => {
    const { ask } = openPages(["192.0.2.0/24"]);
    const failure = "d14:failure reason20:info_hash is missinge";
    expect(await (await ask("/scrape")).text()).toBe("d5:filesdee");
    for (const [path, from] of [
      ["/scrape", "203.0.113.1"],
      ["/scrape?", "192.0.2.1"],
      ["/x/scrape", "192.0.2.1"],
    ] as const) {
      expect([path, await (await ask(path, from)).text()]).toEqual([path, failure]);
    }
  });

  test("pages for this machine are not shown under a foreign host name", async () => {
    const { ask } = openPages(["127.0.0.0/8", "::1", "192.0.2.0/24"]);
    const failure = "d14:failure reason20:info_hash is missinge";
    for (const from of ["127.0.0.1", "127.9.9.9", "::1"]) {
      const named = (target: string, Host: string) => ask(target, from, { headers: { Host } });
      expect((await named("/stats", "evil.example:6969")).status).toBe(403);
      expect((await named("/stats?mode=statedump", "evil.example")).status).toBe(403);
      expect(await (await named("/scrape", "evil.example")).text()).toBe(failure);
      for (const host of ["127.0.0.1:6969", "localhost", "tracker.example"]) {
        expect((await named("/stats?mode=version", host)).status).toBe(200);
        // 429 if this network already had a full scrape.
        expect([200, 429]).toContain((await named("/scrape", host)).status);
        expect(await (await named("/scrape", host)).text()).not.toBe(failure);
      }
    }
    expect((await ask("/stats", "192.0.2.1", { headers: { Host: "a.example" } })).status).toBe(200);
    const open = openPages(["0.0.0.0/0"]);
    const headers = { Host: "a.example" };
    expect((await open.ask("/stats", "127.0.0.1", { headers })).status).toBe(200);
  });

  test("a client that a proxy calls this machine does not have its rights", async () => {
    const networks = ["127.0.0.0/8", "::1"];
    const { ask } = openPages(networks, { trustedProxies: [...networks, "192.0.2.1"] });
    for (const proxy of ["192.0.2.1", "127.0.0.1", "::1"]) {
      for (const client of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
        const headers = { Host: "localhost", "X-Forwarded-For": client };
        expect((await ask("/stats?mode=version", proxy, { headers })).status).toBe(403);
        expect((await ask("/stats?mode=statedump", proxy, { headers })).status).toBe(403);
        expect(await (await ask("/scrape", proxy, { headers })).text()).toMatch(/info_hash is/);
      }
    }
    const open = openPages(["0.0.0.0/0"], { trustedProxies: ["192.0.2.1"] });
    const headers = { "X-Forwarded-For": "127.0.0.1" };
    expect((await open.ask("/stats?mode=version", "192.0.2.1", { headers })).status).toBe(200);
  });

  test("the root redirects if a URL is set", async () => {
    const { ask, counters } = openPages([], { redirectUrl: "https://example.org/" });
    const answer = await ask("/");
    expect([answer.status, answer.headers.get("location")]).toEqual([302, "https://example.org/"]);
    expect((await ask("/", "192.0.2.1", { method: "POST" })).status).toBe(404);
    expect(counters.total("httpRedirects")).toBe(1);
    expect((await openPages([]).ask("/")).status).toBe(404);
  });
});

describe("a request for a WebSocket", () => {
  const headers = { Connection: "Upgrade", Upgrade: "websocket" };

  test("goes to its own judge at any path", async () => {
    const seen: string[] = [];
    const upgrade = async ({ head, address, family }: UpgradeRequest) => {
      const target = head.text.slice(head.targetFrom, head.targetTo);
      seen.push(`${target} ${[...address.subarray(0, 4)].join(".")} ${family}`);
      return new Response("judged");
    };
    const { ask } = open(new FakeCore(), {}, () => true, undefined, { upgrade });
    for (const target of ["/", "/announce", "/any/thing?x=1"]) {
      expect(await (await ask(target, "192.0.2.7", { headers })).text()).toBe("judged");
    }
    expect(seen).toEqual(["/ 192.0.2.7 4", "/announce 192.0.2.7 4", "/any/thing?x=1 192.0.2.7 4"]);
  });

  test("is answered as any other if there are none", async () => {
    const { ask } = open(new FakeCore());
    expect(await (await ask("/announce", "192.0.2.7", { headers })).text()).toMatch(/info_hash/);
  });
});

describe("a worker", () => {
  const takeover = new Response("elsewhere") as never;

  test("has pages answered elsewhere, and answers all else itself", async () => {
    const pages = {
      ...{ path: "/stats", bytesMax: 0 },
      answer: () => takeover,
      mayFullScrape: ({ address }: { address: Uint8Array }) => address[0] === 127,
      answerFullScrape: () => takeover,
    };
    const others = { frontElsewhere: () => takeover, pages, upgrade: () => takeover };
    const { ask } = open(new FakeCore(), {}, undefined, undefined, others);
    const upgrade = {
      headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Key": "x" },
    };
    for (const target of ["/", "/live", "/stats", "/stats?mode=peer"]) {
      expect(ask(target)).toBe(takeover);
    }
    expect(ask("/scrape", "127.0.0.1")).toBe(takeover);
    expect(ask("/announce", "192.0.2.1", upgrade)).toBe(takeover);
    for (const target of ["/health", "/ready", "/favicon.ico", "/nothing", `/announce?${QUERY}`]) {
      expect(ask(target)).not.toBe(takeover);
    }
    expect(ask("/scrape")).not.toBe(takeover);
    expect(ask("/", "192.0.2.1", { method: "POST" }).status).toBe(405);
    // A redirect needs no page.
    const redirectUrl = "https://tracker.example/";
    const redirecting = open(new FakeCore(), { redirectUrl }, undefined, undefined, others);
    expect(redirecting.ask("/").status).toBe(302);
  });

  test("has counted and rated what it passes on", () => {
    const { limits } = limitsOf({ rates: { mode: "enforce", addressRate: 1 / 60 } });
    const asked = (passedOn: boolean) => {
      const { ask, counters } = open(new FakeCore(), {}, undefined, limits, { passedOn });
      ask("/nothing");
      return [ask("/nothing").status, counters.total("httpReceivedBytes") > 0];
    };
    expect(asked(false)).toEqual([429, true]);
    expect(asked(true)).toEqual([404, false]);
  });
});
