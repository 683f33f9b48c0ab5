/**
 * The self-test of a WebTorrent tracker, at one address: what browsers expect of it.
 *
 *   connect    101 with the right key, and a ping is answered: libtorrent sends one in 10 s
 *   announce   a leecher and a seeder announce a random info hash; the reply has a useful interval,
 *              the info hash, and counts both
 *   offer      the seeder's offer reaches the leecher unchanged, and not its sender
 *   answer     the answer reaches the seeder unchanged; one that nobody expects does not: peer ids
 *              are public, so any stranger could send a browser a connection
 *   scrape     counts both
 *   leave      `stopped` is answered, because clients wait for it, and removes the peer
 *   failure    a wrong message gets a failure with its info hash, which clients look for, and
 *              leaves the connection open: to lose it costs a browser up to 5 minutes
 *
 * What is missing ends the test, what is wrong is noted and the test goes on. The failure has a
 * connection of its own. No origin is sent.
 */
import { randomBytes } from "node:crypto";

import { LISTED_INTERVAL_SECONDS_MAX } from "../constants.ts";
import { showSeconds } from "../config/settings.ts";
import { excerptOf } from "./printable.ts";
import { type Heard, WebSocketClient, type WebSocketQuestion } from "./websocket-client.ts";

/** Browsers that announce more often than that are a flood. */
const INTERVAL_SECONDS_MIN = 10;

const SDP_OFFER = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\na=ice-pwd:\"\\/'+\r\n";
const SDP_ANSWER = "v=0\r\no=- 3 4 IN IP4 127.0.0.1\r\ns=-\r\na=setup:active\r\n";

/** What was found at one address; `told` is the summary without problems. */
export interface Findings {
  problems: string[];
  told: string;
}

/** Tests the tracker. Never rejects. */
export async function testWebSocket(question: WebSocketQuestion): Promise<Findings> {
  const meeting = new Meeting(question);
  const problems: string[] = [];
  try {
    await meeting.run();
  } catch (error) {
    problems.push(`${meeting.step}: ${sentenceOf(error)}`);
  } finally {
    meeting.close();
  }
  return { problems: [...meeting.problems, ...problems], told: meeting.told };
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A peer with its connection. */
interface Peer {
  client: WebSocketClient;
  id: string;
}

class Meeting {
  /** The step at hand. */
  step = "connect";
  told = "";
  readonly problems: string[] = [];
  readonly #question: WebSocketQuestion;
  readonly #infoHash = word();
  readonly #offerId = word();
  readonly #leecher: Peer;
  readonly #seeder: Peer;

  constructor(question: WebSocketQuestion) {
    this.#question = question;
    this.#leecher = peer(question);
    this.#seeder = peer(question);
  }

  close(): void {
    for (const { client } of [this.#leecher, this.#seeder]) client.close();
  }

  async run(): Promise<void> {
    const [{ client: leecher }, { client: seeder }] = [this.#leecher, this.#seeder];
    // Both at once: a rejection must not come while the other is waited for.
    await Promise.all([leecher.opened(), seeder.opened()]);
    await leecher.ping();
    await this.#announceBoth();
    await this.#passOffer();
    await this.#passAnswer();
    await this.#scrape(1);
    await this.#askForFailure();
    await this.#leave();
  }

  async #announceBoth(): Promise<void> {
    this.step = "announce";
    await this.#announce(this.#leecher, { left: 1000, event: "started", numwant: 0, offers: [] });
    const offers = [{ offer: { type: "offer", sdp: SDP_OFFER }, offer_id: this.#offerId }];
    const asked = { left: 0, event: "started", numwant: 1, offers };
    const { interval, complete, incomplete } = await this.#announce(this.#seeder, asked);
    if (!Number.isInteger(interval)) {
      return this.#note("the interval is not a whole number: libtorrent drops the reply");
    }
    const seconds = interval as number;
    if (seconds < INTERVAL_SECONDS_MIN || seconds > LISTED_INTERVAL_SECONDS_MAX) {
      const range = "browsers meet others when they announce, so 10s to 3h are useful";
      this.#note(`the interval is ${seconds} s: ${range}`);
    } else {
      this.told = `interval ${showSeconds(seconds)}`;
    }
    this.#judgeCounts({ complete, incomplete }, 1);
  }

  /** Announces, and resolves to the reply. */
  async #announce({ client, id }: Peer, members: object): Promise<Heard> {
    const sums = { uploaded: 0, downloaded: 0 };
    client.send({ action: "announce", ...this.#names(id), ...sums, ...members });
    const ours = (message: Heard) =>
      isFailure(message) || (this.#isOurs(message) && message["interval"] !== undefined);
    const reply = await client.hear(ours, "no reply with its info hash and an interval");
    if (!isFailure(reply)) return reply;
    throw new Error(`refused: ${excerptOf(reply["failure reason"])}`);
  }

  async #passOffer(): Promise<void> {
    this.step = "offer";
    const offered = (message: Heard) => message["offer"] !== undefined;
    const heard = await this.#leecher.client.hear(offered, "it does not reach the other peer");
    this.#judgePassed(heard, heard["offer"], { type: "offer", sdp: SDP_OFFER }, this.#seeder.id);
    if (this.#seeder.client.heard.some(offered)) this.#note("it comes back to its sender");
  }

  async #passAnswer(): Promise<void> {
    this.step = "answer";
    const answered = (message: Heard) => message["answer"] !== undefined;
    this.#answer(this.#offerId, SDP_ANSWER);
    const { client } = this.#seeder;
    const heard = await client.hear(answered, "it does not reach the peer with the offer");
    const answer = { type: "answer", sdp: SDP_ANSWER };
    this.#judgePassed(heard, heard["answer"], answer, this.#leecher.id);
    this.#answer(word(), SDP_ANSWER);
    // Behind it, on both connections: what was passed on has arrived before the replies.
    for (const each of [this.#leecher, this.#seeder]) await this.#counts(each);
    if (!client.heard.some(answered)) return;
    this.#note("one to no offer is passed on: any stranger can send browsers connections");
  }

  #answer(offerId: string, sdp: string): void {
    const { client, id } = this.#leecher;
    const answer = { type: "answer", sdp };
    const to = { to_peer_id: this.#seeder.id, offer_id: offerId };
    client.send({ action: "announce", ...this.#names(id), ...to, answer });
  }

  #judgePassed(heard: Heard, text: unknown, sent: Heard, from: string): void {
    const { type, sdp } = (text ?? {}) as Heard;
    if (type !== sent["type"] || sdp !== sent["sdp"]) this.#note("its text is changed on the way");
    if (heard["offer_id"] !== this.#offerId) this.#note("its offer_id is changed on the way");
    if (heard["peer_id"] !== from) this.#note("its peer_id is not that of its sender");
    if (!this.#isOurs(heard)) this.#note("it does not name its info hash as an announce does");
  }

  async #scrape(leechers: number): Promise<void> {
    this.step = "scrape";
    this.#judgeCounts(await this.#counts(this.#seeder), leechers);
  }

  /** The counts of a scrape. */
  async #counts({ client }: Peer): Promise<Heard> {
    client.send({ action: "scrape", info_hash: this.#infoHash });
    const scraped = (message: Heard) => isFailure(message) || message["action"] === "scrape";
    const reply = await client.hear(scraped, "a scrape is not answered");
    const files = (reply["files"] ?? {}) as Record<string, unknown>;
    const counts = files[this.#infoHash];
    if (typeof counts === "object" && counts !== null) return counts as Heard;
    if (!isFailure(reply)) throw new Error("the answer to a scrape does not have the swarm");
    throw new Error(`a scrape is refused: ${excerptOf(reply["failure reason"])}`);
  }

  #judgeCounts({ complete, incomplete }: Heard, leechers: number): void {
    if (complete === 1 && incomplete === leechers) return;
    const shown = [complete, incomplete].map(excerptOf);
    this.#note(
      `a seeder and ${leechers === 1 ? "a leecher are" : "no leecher are"} counted as ` +
        `complete ${shown[0]}, incomplete ${shown[1]}`,
    );
  }

  async #askForFailure(): Promise<void> {
    this.step = "failure";
    const { client, id } = peer(this.#question);
    try {
      await client.opened();
      client.send({ action: "announce", ...this.#names(id.slice(1)), left: 1, offers: [] });
      const reply = await client.hear(() => true, "a peer id of 19 characters gets no reply");
      if (!isFailure(reply)) this.#note("a peer id of 19 characters is taken");
      else if (!this.#isNamed(reply)) this.#note("it has no info_hash, so clients ignore it");
      await client.ping();
    } catch (error) {
      this.#note(`after one wrong message: ${sentenceOf(error)}`);
    } finally {
      client.close();
    }
  }

  async #leave(): Promise<void> {
    this.step = "leave";
    await this.#announce(this.#leecher, { left: 1000, event: "stopped" });
    this.#judgeCounts(await this.#counts(this.#seeder), 0);
    await this.#announce(this.#seeder, { left: 0, event: "stopped" });
  }

  #names(peerId: string): object {
    return { info_hash: this.#infoHash, peer_id: peerId };
  }

  #isNamed(message: Heard): boolean {
    return message["info_hash"] === this.#infoHash;
  }

  #isOurs(message: Heard): boolean {
    return message["action"] === "announce" && this.#isNamed(message);
  }

  #note(problem: string): void {
    this.problems.push(`${this.step}: ${problem}`);
  }
}

function isFailure(message: Heard): boolean {
  return message["failure reason"] !== undefined;
}

/** 20 bytes as browsers send them: a character for each. */
function word(): string {
  return randomBytes(20).toString("latin1");
}

/** A new connection, with a peer id as WebTorrent makes it. */
function peer(question: WebSocketQuestion): Peer {
  const client = new WebSocketClient(question);
  return { client, id: `-WW0208-${randomBytes(9).toString("base64")}` };
}
