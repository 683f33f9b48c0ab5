/** A server that answers anything to anything, and what hostile ones answer. */

export const OK = "HTTP/1.1 200 OK\r\n";
export const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

/** Sends a text on a connection; how much of it was taken, -1 once the connection is gone. */
export type Send = (text: string) => number;

/** How a connection is answered: with a text, or as a function does. None is ended but by `end`. */
export type HostileAnswer = string | ((send: Send, end: () => void) => void);

/** Answers each connection so, and notes what it is asked. Disposable. */
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
        else answer(send, () => void socket.end());
      },
    },
  });
  return { port: server.port, asked, [Symbol.dispose]: () => server.stop(true) };
}
