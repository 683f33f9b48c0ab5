/** A WebTorrent tracker of one swarm, which can be made to err. */
import type { ServerWebSocket } from "bun";

type Json = Record<string, unknown>;

interface Connection {
  peerId: string;
  leecher: boolean;
  joined: boolean;
}

/** What a tracker does differently; without anything it is a good one. */
export interface Faults {
  /** Changes a message on its way out, or drops it. */
  out?: (message: Json, to: "leecher" | "seeder" | "other") => Json | undefined;
  /** Sends offers and answers to their senders too. */
  echoes?: boolean;
  /** Passes each answer on. */
  forges?: boolean;
  /** Keeps peers that have stopped. */
  keeps?: boolean;
  /** Closes for a wrong message. */
  closes?: boolean;
  /** Takes any peer id. */
  takesAll?: boolean;
}

type Socket = ServerWebSocket<Connection>;

export class FakeTracker implements Disposable {
  readonly url: string;
  readonly #server: Bun.Server<Connection>;
  readonly #faults: Faults;
  readonly #sockets = new Set<Socket>();
  readonly #offers = new Set<unknown>();

  constructor(faults: Faults = {}) {
    this.#faults = faults;
    this.#server = Bun.serve<Connection>({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request, server) => {
        const data = { peerId: "", leecher: true, joined: false };
        return server.upgrade(request, { data }) ? undefined : new Response("no", { status: 400 });
      },
      websocket: {
        open: (socket) => void this.#sockets.add(socket),
        close: (socket) => void this.#sockets.delete(socket),
        message: (socket, text) => this.#take(socket, JSON.parse(String(text)) as Json),
      },
    });
    this.url = `ws://127.0.0.1:${this.#server.port}/announce`;
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }

  #take(socket: Socket, message: Json): void {
    const { info_hash, peer_id, event } = message;
    const { forges, keeps, closes, takesAll } = this.#faults;
    if (message["action"] === "scrape") {
      const files = { [info_hash as string]: this.#counts() };
      return this.#send(socket, { action: "scrape", files });
    }
    if ((peer_id as string).length !== 20 && takesAll !== true) {
      if (closes) return socket.close(1008, "wrong\x1b");
      return this.#send(socket, { info_hash, "failure reason": "peer_id is wrong" });
    }
    if (message["answer"] !== undefined) {
      const { answer, offer_id, to_peer_id } = message;
      if (this.#offers.delete(offer_id) || forges) {
        const passed = { action: "announce", answer, offer_id, peer_id, info_hash };
        this.#pass(socket, passed, (other) => other.data.peerId === to_peer_id);
      }
      return;
    }
    socket.data.peerId = peer_id as string;
    socket.data.leecher = message["left"] !== 0;
    socket.data.joined = event !== "stopped" || keeps === true;
    this.#send(socket, { action: "announce", interval: 120, info_hash, ...this.#counts() });
    for (const { offer, offer_id } of (message["offers"] ?? []) as Json[]) {
      this.#offers.add(offer_id);
      const passed = { action: "announce", offer, offer_id, peer_id, info_hash };
      this.#pass(socket, passed, (other) => other !== socket && other.data.joined);
    }
  }

  #counts(): Json {
    const joined = [...this.#sockets].filter(({ data }) => data.joined);
    const incomplete = joined.filter(({ data }) => data.leecher).length;
    return { complete: joined.length - incomplete, incomplete };
  }

  #pass(from: Socket, message: Json, isReceiver: (other: Socket) => boolean): void {
    for (const other of this.#sockets) {
      if (isReceiver(other) || (this.#faults.echoes && other === from)) this.#send(other, message);
    }
  }

  #send(socket: Socket, message: Json): void {
    const { peerId, leecher } = socket.data;
    const to = peerId === "" ? "other" : leecher ? "leecher" : "seeder";
    const sent = this.#faults.out === undefined ? message : this.#faults.out(message, to);
    if (sent !== undefined) socket.send(JSON.stringify(sent));
  }
}
