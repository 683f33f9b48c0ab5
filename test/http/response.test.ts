import { describe, expect, test } from "bun:test";
import { get, listen } from "./connected.ts";

/** A stream of these pieces, one every few milliseconds. */
function slowly(pieces: string[], over: () => void = () => {}): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      await Bun.sleep(3);
      if (at === pieces.length) controller.close();
      else controller.enqueue(Buffer.from(pieces[at++]));
    },
    cancel: over,
  });
}

test("status and fields come from the Response, and the length if it is known", async () => {
  const headers = { "X-A": "b", Connection: "upgrade" };
  using place = listen(() => new Response("body", { status: 429, headers }));
  const { text } = await place.ask([get("/a")]);
  const [head, body] = text.split("\r\n\r\n");
  expect(head).toStartWith("HTTP/1.1 429 \r\n");
  expect(head).toContain("\r\nx-a: b\r\n");
  expect(head).toContain("\r\nContent-Length: 4");
  expect(head).not.toContain("upgrade");
  expect(body).toBe("body");
});

test("an upgrade that is offered is named by Connection", async () => {
  using place = listen(() => new Response("", { status: 426, headers: { Upgrade: "websocket" } }));
  const { text } = await place.ask([get("/a")]);
  expect(text).toContain("\r\nupgrade: websocket\r\nConnection: Upgrade\r\n");
});

test("browsers may not guess the type of a body, whatever the Response says", async () => {
  const headers = { "X-Content-Type-Options": "sniff" };
  using place = listen(() => new Response("<script>", { headers }));
  const [head] = (await place.ask([get("/a")])).text.split("\r\n\r\n");
  expect(head.toLowerCase().match(/x-content-type-options: .*/g)).toEqual([
    "x-content-type-options: nosniff",
  ]);
});

test("a body in pieces is sent in chunks, over HTTP/1.0 until the connection closes", async () => {
  using place = listen(() => new Response(slowly(["one", "", "two"])));
  const modern = await place.ask([get("/a") + get("/b")], { responses: 2 });
  expect(modern.text).toContain(
    "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n",
  );
  expect(modern.bodies).toEqual(["onetwo", "onetwo"]);
  const fields = "Connection: keep-alive\r\n";
  const old = await place.ask([get("/a", fields, "1.0")]);
  expect(old.text).toEndWith("\r\nConnection: close\r\n\r\nonetwo");
  expect(old.closed).toBe(true);
});

test("a body that is shorter or longer than its stated length is cut off", async () => {
  const stated = (length: number) =>
    listen(() => {
      const headers = { "Content-Length": String(length) };
      return new Response(slowly(["one", "two"]), { headers });
    });
  using right = stated(6);
  expect((await right.ask([get("/a")])).bodies).toEqual(["onetwo"]);
  for (const length of [5, 7]) {
    using wrong = stated(length);
    expect(await wrong.ask([get("/a")])).toMatchObject({ bodies: [], closed: true });
  }
});

describe("no body", () => {
  test.each([
    ["an empty Response", () => new Response(null), "\r\nContent-Length: 0\r\n\r\n"],
    ["a redirect", () => Response.redirect("http://b/"), "\r\nContent-Length: 0\r\n\r\n"],
    ["204", () => new Response(null, { status: 204 }), "\r\n\r\n"],
  ])("%s", async (_name, answer, end) => {
    using place = listen(answer);
    const { text, statuses } = await place.ask([get("/a") + get("/b")], { responses: 2 });
    expect(statuses).toHaveLength(2);
    expect(text).toEndWith(end);
  });

  test("HEAD, whose body is not made", async () => {
    let cancelled = 0;
    using place = listen(() => new Response(slowly(["one"], () => (cancelled += 1))));
    const pieces = ["HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n"];
    const { text } = await place.ask(pieces, { head: true });
    expect(text).toBe("HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\n\r\n");
    expect(cancelled).toBe(1);
  });
});

test("a body is made no faster than its client takes it, and not after it is gone", async () => {
  const piece = new Uint8Array(256 * 1024);
  let made = 0;
  const over = Promise.withResolvers<void>();
  using place = listen(
    () =>
      new Response(
        new ReadableStream({
          pull: (controller) => {
            made += piece.length;
            controller.enqueue(piece);
          },
          cancel: () => over.resolve(),
        }),
      ),
  );
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: place.port,
    socket: { data: (socket) => void socket.pause() },
  });
  client.write(get("/a"));
  await Bun.sleep(200);
  const before = made;
  await Bun.sleep(100);
  expect(made).toBe(before);
  expect(before).toBeLessThan(20 * 1024 * 1024);
  client.terminate();
  await over.promise;
  await Bun.sleep(10);
  expect(place.server.connections).toBe(0);
});

test("a promise or a body that fails closes the connection", async () => {
  const reports: unknown[] = [];
  using place = listen(() => Promise.reject(new Error("a mistake")), {
    report: (error) => reports.push(error),
  });
  expect(await place.ask([get("/a")])).toMatchObject({ text: "", closed: true });
  expect(reports).toHaveLength(1);
  using broken = listen(
    () => new Response(new ReadableStream({ pull: (controller) => controller.error(new Error()) })),
  );
  expect(await broken.ask([get("/a")])).toMatchObject({ text: "", closed: true });
});
