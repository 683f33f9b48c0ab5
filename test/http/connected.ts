/** A server on a free port, for tests that send bytes. */
import type { Exchange, HttpHandler } from "../../src/http/exchange.ts";
import type { HttpServerOptions } from "../../src/http/server-options.ts";
import { HttpServer } from "../../src/http/server.ts";
import { exchangeTcp, readResponses, type TcpExchange } from "../e2e/raw-http.ts";

/** Path and query of an exchange. */
export function targetOf({ head }: Exchange): string {
  return head.text.slice(head.pathFrom, head.targetTo);
}

/** Writes a small answer. */
export function answerText(exchange: Exchange, text: string): number {
  exchange.out.set(Buffer.from(text, "latin1"), exchange.at);
  return text.length;
}

/** Answers with the target, unless the test has its own handler. */
export function listen(
  answer: HttpHandler["answer"] = (exchange) => answerText(exchange, targetOf(exchange)),
  options: Partial<HttpServerOptions> = {},
) {
  const server = new HttpServer(
    { bodyBytesMax: 20_000, answer },
    { connectionsMax: 100, ...options },
  );
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: server.socket,
  });
  /** Sends the pieces; returns the statuses, the bodies, and whether the server closed. */
  const ask = async (pieces: string[], how: Partial<TcpExchange> = {}) => {
    const bytes = pieces.map((piece) => Buffer.from(piece, "latin1"));
    const place = { host: "127.0.0.1", port: listener.port };
    const { head = false } = how;
    const lingerMilliseconds = 60;
    const got = await exchangeTcp({ ...place, pieces: bytes, lingerMilliseconds, ...how });
    const responses = readResponses(got.bytes, got.closed, head);
    return {
      text: Buffer.from(got.bytes).toString("latin1"),
      statuses: responses.map(({ status }) => status),
      bodies: responses.map(({ body }) => Buffer.from(body).toString("latin1")),
      closed: got.closed,
    };
  };
  return {
    server,
    port: listener.port,
    ask,
    [Symbol.dispose]() {
      listener.stop(true);
      server.cut();
      void server.stop();
    },
  };
}

/** A request without a body. */
export function get(target: string, fields = "", version = "1.1"): string {
  return `GET ${target} HTTP/${version}\r\nHost: a\r\n${fields}\r\n`;
}
