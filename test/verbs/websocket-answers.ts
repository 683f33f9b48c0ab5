/** The answer to a handshake, for servers that then send any bytes. */
import { createHash } from "node:crypto";

const SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The right answer to this request. */
export function handshakeOf(asked: string): string {
  const key = /Sec-WebSocket-Key: (\S+)/.exec(asked)?.[1] ?? "";
  const accept = createHash("sha1").update(`${key}${SUFFIX}`).digest("base64");
  return (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`
  );
}
