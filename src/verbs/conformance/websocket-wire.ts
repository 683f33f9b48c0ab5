/**
 * Peers of one WebTorrent tracker, each with a connection of its own, and what they send and get.
 *
 * What a tracker did not send is known once it has answered something later: `settled` asks with a
 * ping and waits a moment, because messages to others may take longer than a pong.
 */
import { randomBytes } from "node:crypto";

import { type Heard, WebSocketClient, type WebSocketQuestion } from "../websocket-client.ts";
import { type Exchange, hold, type Manners, Pace } from "./statements.ts";

/** Frames overtake each other inside the tracker only: a part of the time of silence is enough. */
const SETTLED_PART = 4;

export interface BrowserPeer {
  client: WebSocketClient;
  id: string;
  /** The answer to its announce, once it has joined. */
  reply: Heard;
}

export class WebSocketWire {
  /** The info hash of this check. */
  readonly hash: string;
  readonly exchanges: Exchange[] = [];
  readonly #question: WebSocketQuestion;
  readonly #manners: Manners;
  readonly #pace: Pace;
  readonly #peers: BrowserPeer[] = [];

  constructor(question: WebSocketQuestion, manners: Manners, pace: Pace) {
    this.#question = question;
    this.#manners = manners;
    this.#pace = pace;
    this.hash = this.anotherHash();
  }

  anotherHash(first?: Buffer): string {
    return this.#manners.infoHash(first).toString("latin1");
  }

  /** A peer with an open connection, that has said nothing. */
  async open(): Promise<BrowserPeer> {
    await this.#pace.turn();
    const client = new WebSocketClient(this.#question);
    const peer = { client, id: word(), reply: {} };
    this.#peers.push(peer);
    try {
      await client.opened();
    } catch (error) {
      this.#note(`GET ${this.#question.target}, Upgrade: websocket`, sentenceOf(error));
      throw error;
    }
    return peer;
  }

  /** A peer that has announced this, and got a reply. */
  async join(more: object): Promise<BrowserPeer> {
    const peer = await this.open();
    this.tell(peer, { action: "announce", event: "started", ...more });
    peer.reply = await this.hear(
      peer,
      (heard) => heard["interval"] !== undefined || heard["failure reason"] !== undefined,
      "no reply to an announce",
    );
    hold(peer.reply["failure reason"] === undefined, "the announce is refused");
    return peer;
  }

  /** Sends a message with the peer's id and info hash, unless others are given. */
  tell(peer: BrowserPeer, message: object): void {
    this.tellText(peer, JSON.stringify({ info_hash: this.hash, peer_id: peer.id, ...message }));
  }

  tellText(peer: BrowserPeer, text: string, form?: { binary?: boolean; pieces?: number }): void {
    this.#note(ascii(text), "nothing yet");
    peer.client.sendText(text, form);
  }

  /** The text of a leecher's announce. */
  announceText(peer: BrowserPeer): string {
    const message = { action: "announce", info_hash: this.hash, peer_id: peer.id, left: 1 };
    return JSON.stringify({ ...message, event: "started" });
  }

  /** The first such message. */
  async hear(peer: BrowserPeer, wanted: (heard: Heard) => boolean, silence: string) {
    const last = this.exchanges.at(-1);
    try {
      const heard = await peer.client.hear(wanted, silence);
      if (last !== undefined) last.came = asciiOf(heard);
      return heard;
    } catch (error) {
      if (last !== undefined) last.came = asciiOf(peer.client.heard.at(-1));
      throw error;
    }
  }

  /** Resolves when what the peer sent has had its effect. Rejects if its connection was closed. */
  async settled({ client }: BrowserPeer): Promise<void> {
    await client.ping();
    await Bun.sleep(this.#manners.silence / SETTLED_PART);
    const last = this.exchanges.at(-1);
    if (last?.came === "nothing yet" && client.heard.length > 0) {
      last.came = asciiOf(client.heard.at(-1));
    }
  }

  /** The counts of a swarm, by a scrape over another connection. */
  counts(hash = this.hash): Promise<Heard> {
    return this.scraped(hash, hash);
  }

  /** The counts of one of these in the answer to a scrape. */
  async scraped(hashes: string | string[], hash: string): Promise<Heard> {
    const peer = await this.open();
    this.tellText(peer, JSON.stringify({ action: "scrape", info_hash: hashes }));
    const isAnswer = (heard: Heard) => heard["action"] === "scrape";
    const { files } = await this.hear(peer, isAnswer, "no answer to a scrape");
    peer.client.close();
    const found = (files as Record<string, Heard | undefined> | undefined)?.[hash];
    hold(typeof found === "object" && found !== null, "the answer does not have the swarm");
    return found;
  }

  /** A tracker may keep peers whose connection is closed, so all that have joined say stopped. */
  async leave(): Promise<void> {
    for (const peer of this.#peers.filter(({ reply }) => reply["interval"] !== undefined)) {
      await this.#pace.turn();
      this.tell(peer, { action: "announce", left: 0, event: "stopped" });
    }
  }

  close(): void {
    for (const { client } of this.#peers) client.close();
  }

  #note(sent: string, came: string): void {
    this.exchanges.push({ sent, came });
  }
}

/** A message as JSON in ASCII. */
function asciiOf(heard: Heard | undefined): string {
  return heard === undefined ? "nothing" : ascii(JSON.stringify(heard));
}

function ascii(json: string): string {
  return json.replace(
    /[^ -~]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A word of 20 characters, the value of a byte each. */
export function word(): string {
  return randomBytes(20).toString("latin1");
}
