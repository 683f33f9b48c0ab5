/** The command line's end of the admin listener. */
import { describe, expect, test } from "bun:test";

import { askForList, askForMaintenance } from "../../src/verbs/admin-client.ts";

const HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";

/** A server that notes what it is asked and answers in turn. */
function serve(...answers: [status: number, text: string][]) {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(req) {
      const { pathname } = new URL(req.url);
      asked.push(`${req.method} ${pathname} ${req.headers.get("authorization")}`);
      const [status, text] = answers.shift()!;
      return new Response(`${text}\n`, { status });
    },
  });
  const admin = { host: "0.0.0.0", port: server.port!, token: "secret" };
  return { asked, admin, [Symbol.dispose]: () => void server.stop(true) };
}

test("deny and allow are one request each, with the token", async () => {
  using server = serve([200, "done"], [401, "wrong"]);
  const { admin } = server;
  expect(await askForList(admin, "deny", HASH)).toEqual({ status: 200, sentence: "done" });
  expect(await askForList(admin, "allow", HASH)).toEqual({ status: 401, sentence: "wrong" });
  expect(server.asked).toEqual([
    `PUT /access/deny/${HASH} Bearer secret`,
    `PUT /access/allow/${HASH} Bearer secret`,
  ]);
});

describe("forget", () => {
  const cases: [string, [number, string], [number, string], number, string][] = [
    ["both lists", [200, "a"], [200, "b"], 200, "a\nb"],
    ["a deny list alone", [200, "a"], [409, "no list"], 200, "a"],
    ["an allow list alone", [409, "no list"], [200, "b"], 200, "b"],
    ["no list at all", [409, "none"], [409, "neither"], 409, "neither"],
    ["one that fails", [200, "a"], [500, "full"], 500, "a\nfull"],
  ];
  test.each(cases)("with %s", async (_name, denied, allowed, status, sentence) => {
    using server = serve(denied, allowed);
    expect(await askForList(server.admin, "forget", HASH)).toEqual({ status, sentence });
    expect(server.asked).toEqual([
      `DELETE /access/deny/${HASH} Bearer secret`,
      `DELETE /access/allow/${HASH} Bearer secret`,
    ]);
  });
});

test("maintenance is put and deleted", async () => {
  using server = serve([200, "on"], [200, "off"]);
  await askForMaintenance(server.admin, true);
  await askForMaintenance(server.admin, false);
  expect(server.asked).toEqual([
    "PUT /maintenance Bearer secret",
    "DELETE /maintenance Bearer secret",
  ]);
});

test("where nothing listens, or something else does, is told", async () => {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.end("220 mail.example ESMTP\r\n") },
  });
  const admin = { host: "127.0.0.1", port: server.port, token: "secret" };
  await expect(askForMaintenance(admin, true)).rejects.toThrow("the answer is not HTTP");
  server.stop(true);
  await expect(askForMaintenance(admin, true)).rejects.toThrow("nothing listens there");
});
