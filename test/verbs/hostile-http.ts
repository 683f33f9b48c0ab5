/** A server with any answer, and the answers of hostile servers. */

export const OK = "HTTP/1.1 200 OK\r\n";
export const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

/** Sends a text; returns how many bytes were written, -1 after the connection closed. */
export type Send = (text: string | Uint8Array) => number;

/** The answer to a connection: a text or a function. Only `end` closes the connection. */
export type HostileAnswer = string | ((send: Send, end: () => void, asked: string) => void);

/** Gives each connection this answer, and notes its request. Disposable. */
export function hostileHttp(answer: HostileAnswer) {
  const asked: string[] = [];
  const server = Bun.listen<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        asked.push(bytes.toString("latin1"));
        if (asked.length > 1000) return;
        const send: Send = (text) => (socket.readyState === 1 ? socket.write(text) : -1);
        if (typeof answer === "string") send(answer);
        else answer(send, () => void socket.end(), asked.at(-1)!);
      },
    },
  });
  return { port: server.port, asked, [Symbol.dispose]: () => server.stop(true) };
}
