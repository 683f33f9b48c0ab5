import { expect, test } from "bun:test";
import fc from "fast-check";
import { HTTP_BODY_BYTES_MAX } from "../../src/http/routes.ts";
import { FakeCore, HASH, open, QUERY } from "./fixture.ts";

/** The status of a request whose URL is `url` as it stands, such as Bun hands them on. */
function statusOf(url: string, method = "GET"): number {
  const { http } = open(new FakeCore());
  const req = { url, method, headers: new Headers() } as Request;
  return http.fetch(req, { requestIP: () => ({ address: "192.0.2.1" }) }).status;
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
])("%s is an announce, with a host and without", async (path) => {
  const core = new FakeCore();
  const { http } = open(core);
  for (const start of ["", "http://h", "https://h", "http://tracker.example:6969", "http://[::1"]) {
    const req = { url: `${start}${path}?${QUERY}`, method: "GET" } as Request;
    const answer = http.fetch(req, { requestIP: () => ({ address: "192.0.2.1" }) });
    expect(await answer.text()).toStartWith("d8:complete");
  }
  expect(core.calls).toHaveLength(5);
});

test.each(["/scrape", "/scrape.php", "/scrape/", "/passkey//scrape"])(
  "%s is a scrape",
  async (path) => {
    const answer = open(new FakeCore()).ask(`${path}?info_hash=${HASH}`);
    expect(await answer.text()).toStartWith("d5:files");
  },
);

test.each([
  "/",
  "",
  "/announces",
  "/announce.html",
  "/ANNOUNCE",
  "/announce/x",
  "/xannounce",
  "/announce%22%7D,evil%7Bx=%22",
  "/favicon.ico",
  "/x/health",
  "/?x=/announce",
  "/#/announce",
])("%s is not found", (path) => {
  expect(statusOf(`http://h${path}`)).toBe(404);
  const { ask, counters } = open(new FakeCore());
  ask("/favicon.ico");
  expect(counters.total("httpNotFound")).toBe(1);
});

test("an announce without a query is one, and wrong", async () => {
  const { read } = open(new FakeCore());
  for (const target of ["/announce", "/announce?", `/announce#?${QUERY}`]) {
    expect((await read(target)).get("failure reason")).toBe("info_hash is missing");
  }
});

test("only GET and HEAD are answered where there is something to read", () => {
  for (const path of ["/announce", "/scrape", "/health", "/ready"]) {
    expect([path, statusOf(path, "GET")]).toEqual([path, 200]);
    expect([path, statusOf(path, "HEAD")]).toEqual([path, 200]);
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      expect([path, method, statusOf(path, method)]).toEqual([path, method, 405]);
    }
  }
  expect(statusOf("/other", "POST")).toBe(404);
  expect(statusOf("h:443", "CONNECT")).toBe(404);
});

test("a refused method is told which are not, is counted, and asks nothing of the core", () => {
  const core = new FakeCore();
  const { ask, counters } = open(core);
  const answer = ask(`/announce?${QUERY}`, "192.0.2.1", { method: "POST" });
  expect(answer.headers.get("allow")).toBe("GET, HEAD");
  expect(counters.total("httpMethodNotAllowed")).toBe(1);
  expect(core.calls).toEqual([]);
});

test("health is good while the process runs, readiness is what it is", async () => {
  let ready = false;
  const { ask } = open(new FakeCore(), {}, () => ready);
  expect(ask("/ready").status).toBe(503);
  expect(await ask("/health").text()).toBe("ok");
  ready = true;
  expect(ask("/ready").status).toBe(200);
  expect(await ask("/ready/?x").text()).toBe("ok");
});

test("the bytes of requests and replies are counted", async () => {
  const { ask, counters } = open(new FakeCore());
  const body = await ask(`/announce?${QUERY}`).bytes();
  expect(counters.total("httpReceivedBytes")).toBe(
    `http://tracker.example/announce?${QUERY}`.length,
  );
  expect(counters.total("httpSentBytes")).toBe(body.length);
  const failure = await ask("/scrape").bytes();
  expect(counters.total("httpSentBytes")).toBe(body.length + failure.length);
});

test("any URL has an answer, never an exception", () => {
  const piece = fc.oneof(
    fc.constantFrom("/", "announce", "scrape", "?", "#", "http://h", QUERY, "&", "%", "info_hash="),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      expect([200, 404]).toContain(statusOf(pieces.join("")));
    }),
  );
});

test("a proxy network that is none stops the start", () => {
  expect(() => open(new FakeCore(), { trustedProxies: ["proxy"] })).toThrow(
    '"proxy" is not a network',
  );
});

test("a request body of 64 KiB is read and ignored, none larger is", () => {
  expect(HTTP_BODY_BYTES_MAX).toBe(65536);
});
