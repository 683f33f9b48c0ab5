/** A protocol for tests of upgrades. */
import type { Line, Takeover, Tunnel } from "../../src/net/tunnel.ts";

/** Sends back what it gets, and reads nothing while it is told so. */
export class Echo implements Tunnel {
  readonly goesOn = false;
  readonly #line: Line;
  wasClosed = false;

  constructor(line: Line) {
    this.#line = line;
  }

  read(bytes: Buffer): number {
    this.#line.send(bytes, 0, bytes.length);
    return bytes.length;
  }

  progressed(): void {}
  expire(): void {
    this.#line.wakeAfter(Infinity);
  }
  stop(): void {}
  closed(): void {
    this.wasClosed = true;
  }
}

/** The answer to an upgrade; each line gets an Echo, in `tunnels`. */
export function echoTakeover(tunnels: Echo[]): Takeover {
  return {
    response: Buffer.from("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    refusal: Buffer.alloc(0),
    address: new Uint8Array([127, 0, 0, 1]),
    family: 4,
    begin(line) {
      const tunnel = new Echo(line);
      tunnels.push(tunnel);
      return tunnel;
    },
  };
}
