/** The request for an upgrade as tests and load tools send it; the key is that of RFC 6455 1.3. */

export const UPGRADE_FIELDS = {
  Connection: "keep-alive, Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
};

/** The whole request, with further fields. */
export function upgradeText(fields: Record<string, string> = {}): string {
  const all = { Host: "tracker.example", ...UPGRADE_FIELDS, ...fields };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET /announce HTTP/1.1\r\n${lines.join("")}\r\n`;
}
