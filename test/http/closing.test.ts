import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, expect, test } from "bun:test";
import { closeSocket } from "../../src/http/closing.ts";
import { HttpServer } from "../../src/http/server.ts";
import { until } from "../until.ts";
import { get } from "./connected.ts";
import { makeCertificate } from "./openssl.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-closing-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** An HTTPS server that answers with a body, and a client that never closes its side. */
function serve(body: Buffer) {
  const { cert, key } = makeCertificate(folder, "localhost");
  const server = new HttpServer(
    { bodyBytesMax: 20_000, answer: () => new Response(body) },
    { connectionsMax: 100, tickMilliseconds: 60_000 },
  );
  const { socket } = server;
  const listener = Bun.listen({
    ...{ hostname: "127.0.0.1", port: 0, allowHalfOpen: true, socket },
    tls: { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") },
  });
  const dial = (request: string) => {
    const got = { text: "", ended: false, failed: false };
    const to = { host: "127.0.0.1", port: listener.port, rejectUnauthorized: false };
    const client = connect({ ...to, allowHalfOpen: true } as typeof to, () =>
      client.write(request),
    );
    client.on("data", (bytes) => (got.text += bytes.toString("latin1")));
    client.on("end", () => (got.ended = true));
    client.on("error", () => (got.failed = true));
    return { got, client };
  };
  const stop = () => {
    listener.stop(true);
    server.cut();
  };
  return { server, dial, [Symbol.dispose]: stop };
}

const CLOSE = "Connection: close\r\n";

test.if(makeCertificate.possible)(
  "over TLS an answer is whole, and its connection is gone though its client stays",
  async () => {
    const body = Buffer.alloc(300_000, "x");
    using served = serve(body);
    const clients = Array.from({ length: 5 }, () => served.dial(get("/", CLOSE)));
    await until(() => clients.every(({ got }) => got.ended));
    for (const { got } of clients) {
      // Not the sizes of the chunks.
      const parts = got.text.slice(got.text.indexOf("\r\n\r\n")).match(/x+/g) ?? [];
      expect(parts.join("")).toHaveLength(body.length);
      expect(got.failed).toBe(false);
    }
    await until(() => served.server.connections === 0);
    for (const { client } of clients) client.destroy();
  },
);

test("without TLS, or without a way to close a descriptor, it ends the socket", () => {
  const called: string[] = [];
  const note = (name: string) => () => void called.push(name);
  const socket = { end: note("end"), shutdown: note("shutdown"), close: note("close") };
  const fake = (tls: string | null) => ({ ...socket, getTLSVersion: () => tls });
  closeSocket(fake(null) as unknown as Parameters<typeof closeSocket>[0]);
  closeSocket({ ...fake("TLSv1.3"), close: undefined } as never);
  expect(called).toEqual(["end", "end"]);
  closeSocket(fake("TLSv1.3") as never);
  expect(called).toEqual(["end", "end", "shutdown", "close"]);
});
