/** A WebTorrent client over a real socket, as far as tests need one. */
import { until } from "../until.ts";
import { HASH, type Json } from "../ws/fixture.ts";

export class WsClient {
  readonly heard: Json[] = [];
  closeCode: number | undefined;
  readonly #socket: WebSocket;
  readonly #opened: Promise<void>;
  readonly peerId: string;

  constructor(url: string, peerId: string, headers: Record<string, string> = {}) {
    this.peerId = peerId;
    // Bun takes fields and settings of TLS, which browsers do not.
    const options = { headers, tls: { rejectUnauthorized: false } };
    this.#socket = new WebSocket(url, options as unknown as string[]);
    this.#opened = new Promise((resolve, reject) => {
      this.#socket.onopen = () => resolve();
      this.#socket.onerror = () => reject(new Error("refused"));
    });
    this.#opened.catch(() => {});
    this.#socket.onmessage = ({ data }) => void this.heard.push(JSON.parse(String(data)) as Json);
    this.#socket.onclose = ({ code }) => (this.closeCode = code);
  }

  static async open(url: string, peerId: string, headers = {}): Promise<WsClient> {
    const browser = new WsClient(url, peerId, headers);
    await browser.#opened;
    return browser;
  }

  send(message: Json): void {
    this.#socket.send(JSON.stringify(message));
  }

  async next(): Promise<Json> {
    await until(() => this.heard.length > 0);
    return this.heard.shift()!;
  }

  announce(members: Json = {}): Promise<Json> {
    this.send({ action: "announce", info_hash: HASH, peer_id: this.peerId, left: 1, ...members });
    return this.next();
  }

  close(): void {
    this.#socket.close();
  }

  /** Ends without a goodbye. */
  cut(): void {
    this.#socket.terminate();
  }
}
