/**
 * The statements on trackers for browsers, which no BEP describes: what the client of npm,
 * libtorrent and others agree on. Their names begin with `WebTorrent`.
 */
import { type Check, hold, NotTried } from "./statements.ts";
import { type BrowserPeer, type WebSocketWire, word } from "./websocket-wire.ts";
import { excerptOf } from "../printable.ts";
import type { Heard } from "../websocket-client.ts";

const SDP = "v=0\r\na=x:\"\\/\u00e9\u4e16'\r\n";
const BYTES = Buffer.from([0, 10, 34, 92, 127, 128, 200, 255]);
const OFFERS = 3;
/** Browsers that announce more often than that are a flood. */
const INTERVAL_SECONDS_MIN = 10;

const isReply = (message: Heard): boolean => message["interval"] !== undefined;
const isOffer = (message: Heard): boolean => message["offer"] !== undefined;
const isAnswer = (message: Heard): boolean => message["answer"] !== undefined;
const isFailure = (message: Heard): boolean => message["failure reason"] !== undefined;

/** A leecher that waits, and a seeder whose offer it gets; resolves to the offer as it came. */
async function offered(wire: WebSocketWire): Promise<[BrowserPeer, BrowserPeer, string, Heard]> {
  const leecher = await wire.join({ left: 1 });
  const offerId = word();
  const offers = [{ offer: { type: "offer", sdp: SDP }, offer_id: offerId }];
  const seeder = await wire.join({ left: 0, numwant: 1, offers });
  return [leecher, seeder, offerId, await wire.hear(leecher, isOffer, "no offer came")];
}

function answerTo(wire: WebSocketWire, from: BrowserPeer, to: BrowserPeer, offerId: string): void {
  const answer = { type: "answer", sdp: SDP };
  wire.tell(from, { action: "announce", answer, to_peer_id: to.id, offer_id: offerId });
}

/** A message that is wrong gets one failure; resolves to it. */
async function failure(wire: WebSocketWire): Promise<[BrowserPeer, Heard]> {
  const peer = await wire.open();
  wire.tell(peer, { action: "announce", peer_id: "short", left: 1 });
  return [peer, await wire.hear(peer, isFailure, "no failure came")];
}

/** How the announce of a peer is counted. */
async function countedAs(wire: WebSocketWire, more: object, complete: number): Promise<void> {
  await wire.join(more);
  const counts = await wire.counts();
  const [seeders, leechers] = [counts["complete"], counts["incomplete"]];
  hold(
    seeders === complete && leechers === 1 - complete,
    `it is counted as ${excerptOf(seeders)} seeders and ${excerptOf(leechers)} leechers`,
  );
}

const ANNOUNCES: Check<WebSocketWire>[] = [
  {
    id: "WebTorrent.ping",
    weight: "must",
    says: "a ping is answered: libtorrent sends one in 10 s",
    run: async (wire) => (await wire.open()).client.ping(),
  },
  {
    id: "WebTorrent.reply",
    weight: "must",
    says: "an announce is answered with action, interval and info_hash as it came",
    async run(wire) {
      const { reply } = await wire.join({ left: 1 });
      hold(reply["action"] === "announce", "the action is not announce");
      hold(Number.isInteger(reply["interval"]), "the interval is no whole number");
      hold(reply["info_hash"] === wire.hash, "the info_hash is another");
    },
  },
  {
    id: "WebTorrent.bytes",
    weight: "must",
    says: "an info_hash may have any characters up to U+00FF, and comes back as it was",
    async run(wire) {
      const info_hash = wire.anotherHash(BYTES);
      const { reply } = await wire.join({ left: 1, info_hash });
      hold(reply["info_hash"] === info_hash, "it comes back as another");
    },
  },
  {
    id: "WebTorrent.interval",
    weight: "should",
    says: `the interval is ${INTERVAL_SECONDS_MIN} s or more`,
    async run(wire) {
      const { interval } = (await wire.join({ left: 1 })).reply;
      const isLong = typeof interval === "number" && interval >= INTERVAL_SECONDS_MIN;
      hold(isLong, `it is ${excerptOf(interval)}`);
    },
  },
  {
    id: "WebTorrent.counts",
    weight: "should",
    says: "an announce counts seeders and leechers, each as such",
    async run(wire) {
      await wire.join({ left: 0 });
      const { reply } = await wire.join({ left: 1 });
      const [seeders, leechers] = [reply["complete"], reply["incomplete"]];
      hold(
        seeders === 1 && leechers === 1,
        `1 and 1 were counted as ${excerptOf(seeders)} and ${excerptOf(leechers)}`,
      );
    },
  },
  {
    id: "WebTorrent.left-null",
    weight: "must",
    says: "left = null, a magnet link without metadata, is a leecher",
    run: (wire) => countedAs(wire, { left: null }, 0),
  },
  {
    id: "WebTorrent.left-missing",
    weight: "should",
    says: "an announce without left is of a leecher",
    run: (wire) => countedAs(wire, {}, 0),
  },
  {
    id: "WebTorrent.completed-first",
    weight: "must",
    says: "completed may come before started, from a browser that seeds what it has made",
    run: (wire) => countedAs(wire, { left: 0, event: "completed" }, 1),
  },
  {
    id: "WebTorrent.paused",
    weight: "must",
    says: "event paused is a plain announce",
    run: async (wire) => void (await wire.join({ left: 1, event: "paused" })),
  },
  {
    id: "WebTorrent.update",
    weight: "should",
    says: "event update, or any other, is a plain announce",
    run: async (wire) => void (await wire.join({ left: 1, event: "update" })),
  },
  {
    id: "WebTorrent.members-unknown",
    weight: "must",
    says: "unknown members are ignored",
    run: async (wire) => void (await wire.join({ left: 1, key: "x", corrupt: 0, trackerid: null })),
  },
  {
    id: "WebTorrent.two-swarms",
    weight: "must",
    says: "one connection announces many info hashes",
    async run(wire) {
      const peer = await wire.join({ left: 1 });
      const other = wire.anotherHash();
      wire.tell(peer, { action: "announce", info_hash: other, left: 1, event: "started" });
      const ofOther = (heard: Heard) => isReply(heard) && heard["info_hash"] === other;
      await wire.hear(peer, ofOther, "the second has no reply");
      hold((await wire.counts(wire.hash))["incomplete"] === 1, "the first swarm has lost the peer");
    },
  },
  {
    id: "WebTorrent.stopped",
    weight: "must",
    says: "stopped is answered: clients wait for it, and libtorrent takes silence for death",
    async run(wire) {
      const peer = await wire.join({ left: 1 });
      wire.tell(peer, { action: "announce", left: 1, event: "stopped" });
      await wire.hear(peer, (heard) => isReply(heard) || isFailure(heard), "no reply came");
    },
  },
  {
    id: "WebTorrent.stopped-removes",
    weight: "must",
    says: "a peer that has stopped is no longer counted",
    async run(wire) {
      const peer = await wire.join({ left: 1 });
      wire.tell(peer, { action: "announce", left: 1, event: "stopped" });
      await wire.settled(peer);
      hold((await wire.counts())["incomplete"] === 0, "it is counted");
    },
  },
  {
    id: "WebTorrent.close-removes",
    weight: "must",
    says: "a peer whose connection is closed is no longer counted: tabs close without stopped",
    async run(wire) {
      const peer = await wire.join({ left: 1 });
      await wire.join({ left: 0 });
      peer.client.close();
      for (let i = 0; i < 5; i++) {
        if ((await wire.counts())["incomplete"] === 0) return;
      }
      hold(false, "it is counted");
    },
  },
];

const OFFERS_AND_ANSWERS: Check<WebSocketWire>[] = [
  {
    id: "WebTorrent.offer",
    weight: "must",
    says: "an offer reaches another peer, with offer_id, peer_id, info_hash and action",
    async run(wire) {
      const [, seeder, offerId, came] = await offered(wire);
      const right = { action: "announce", offer_id: offerId, peer_id: seeder.id };
      for (const [name, value] of Object.entries({ ...right, info_hash: wire.hash })) {
        hold(came[name] === value, `its ${name} is wrong`);
      }
    },
  },
  {
    id: "WebTorrent.offer-unchanged",
    weight: "must",
    says: "the SDP of an offer is unchanged",
    async run(wire) {
      const [, , , { offer }] = await offered(wire);
      hold((offer as Heard)?.["sdp"] === SDP, "it is changed");
    },
  },
  {
    id: "WebTorrent.offer-not-back",
    weight: "must",
    says: "an offer does not reach its sender",
    async run(wire) {
      const [, seeder] = await offered(wire);
      await wire.settled(seeder);
      hold(!seeder.client.heard.some(isOffer), "it does");
    },
  },
  {
    id: "WebTorrent.offers-spread",
    weight: "must",
    says: `${OFFERS} offers reach ${OFFERS} peers, each another`,
    async run(wire) {
      const leechers: BrowserPeer[] = [];
      for (let i = 0; i < OFFERS; i++) leechers.push(await wire.join({ left: 1 }));
      const offer = { type: "offer", sdp: SDP };
      const offers = leechers.map(() => ({ offer, offer_id: word() }));
      await wire.join({ left: 0, numwant: OFFERS, offers });
      for (const one of leechers) await wire.hear(one, isOffer, "a peer got no offer");
      for (const one of leechers) hold(!one.client.heard.some(isOffer), "a peer got two");
    },
  },
  {
    id: "WebTorrent.answer",
    weight: "must",
    says: "an answer reaches the peer of the offer, with the same members, and unchanged",
    async run(wire) {
      const [leecher, seeder, offerId] = await offered(wire);
      answerTo(wire, leecher, seeder, offerId);
      const came = await wire.hear(seeder, isAnswer, "no answer came");
      const right = { action: "announce", offer_id: offerId, peer_id: leecher.id };
      for (const [name, value] of Object.entries({ ...right, info_hash: wire.hash })) {
        hold(came[name] === value, `its ${name} is wrong`);
      }
      hold((came["answer"] as Heard)?.["sdp"] === SDP, "its SDP is changed");
    },
  },
  {
    id: "WebTorrent.answer-no-announce",
    weight: "must",
    says: "an answer is no announce: a seeder that answers stays a seeder",
    async run(wire) {
      const seeder = await wire.join({ left: 0 });
      const offerId = word();
      const offers = [{ offer: { type: "offer", sdp: SDP }, offer_id: offerId }];
      const leecher = await wire.join({ left: 1, numwant: 1, offers });
      await wire.hear(seeder, isOffer, "no offer came");
      answerTo(wire, seeder, leecher, offerId);
      await wire.hear(leecher, isAnswer, "no answer came");
      hold((await wire.counts())["complete"] === 1, "it is no longer counted as a seeder");
    },
  },
  {
    id: "WebTorrent.answer-forged",
    weight: "should",
    says: "an answer to no offer reaches nobody: peer ids are public, so strangers could send it",
    async run(wire) {
      const victim = await wire.join({ left: 1 });
      const stranger = await wire.join({ left: 1 });
      answerTo(wire, stranger, victim, word());
      await wire.settled(stranger);
      await wire.settled(victim);
      hold(!victim.client.heard.some(isAnswer), "it does");
    },
  },
  {
    id: "WebTorrent.no-addresses",
    weight: "must",
    says: "no message tells the address of a peer",
    async run(wire) {
      const [, seeder, , came] = await offered(wire);
      const told = JSON.stringify([came, seeder.reply]);
      hold(!/"(ip|ipv4|ipv6|port|peers|address)":/.test(told), "one does");
    },
  },
];

const MESSAGES: Check<WebSocketWire>[] = [
  {
    id: "WebTorrent.failure",
    weight: "must",
    says: "a wrong message gets a failure with a known action: else clients close everything",
    async run(wire) {
      const [, came] = await failure(wire);
      hold(came["action"] === "announce" || came["action"] === "scrape", "it has not");
    },
  },
  {
    id: "WebTorrent.failure-hash",
    weight: "must",
    says: "a failure has the info_hash of the message: libtorrent closes without it",
    run: async (wire) => hold((await failure(wire))[1]["info_hash"] === wire.hash, "it has not"),
  },
  {
    id: "WebTorrent.failure-open",
    weight: "must",
    says: "a wrong message does not close the connection, which carries all swarms of a page",
    async run(wire) {
      const peer = await wire.open();
      wire.tell(peer, { action: "announce", peer_id: "short", left: 1 });
      await peer.client.ping();
    },
  },
  {
    id: "WebTorrent.null",
    risky: true,
    weight: "must",
    says: "the message null harms nobody",
    async run(wire) {
      const peer = await wire.open();
      wire.tellText(peer, "null");
      await wire.settled(peer).catch(() => {});
      await wire.join({ left: 1 });
    },
  },
  {
    id: "WebTorrent.offers-null",
    risky: true,
    weight: "must",
    says: "an announce whose offers are [null] harms nobody",
    async run(wire) {
      await wire.join({ left: 1 });
      const peer = await wire.open();
      wire.tell(peer, { action: "announce", left: 0, numwant: 1, offers: [null] });
      await wire.settled(peer).catch(() => {});
      await wire.join({ left: 1 });
    },
  },
  {
    id: "WebTorrent.binary",
    weight: "custom",
    says: "a binary frame is read like text",
    async run(wire) {
      const peer = await wire.open();
      wire.tellText(peer, wire.announceText(peer), { binary: true });
      await wire.hear(peer, isReply, "no reply came");
    },
  },
  {
    id: "WebTorrent.fragments",
    weight: "must",
    says: "a message in fragments is put together [RFC 6455 5.4]",
    async run(wire) {
      const peer = await wire.open();
      wire.tellText(peer, wire.announceText(peer), { pieces: 3 });
      await wire.hear(peer, isReply, "no reply came");
    },
  },
  {
    id: "WebTorrent.scrape",
    weight: "should",
    says: "a scrape of an info hash has complete, incomplete and downloaded",
    async run(wire) {
      await wire.join({ left: 1 });
      const counts = await wire.scraped(wire.hash, wire.hash);
      for (const name of ["complete", "incomplete", "downloaded"]) {
        hold(typeof counts[name] === "number", `it has no number ${name}`);
      }
    },
  },
  {
    id: "WebTorrent.scrape-list",
    weight: "should",
    says: "a scrape of a list has them all",
    async run(wire) {
      const hashes = [wire.hash, wire.anotherHash()];
      for (const info_hash of hashes) await wire.join({ left: 1, info_hash });
      for (const hash of hashes) {
        hold((await wire.scraped(hashes, hash))["incomplete"] === 1, "a swarm is not counted");
      }
    },
  },
  {
    id: "WebTorrent.scrape-unknown",
    weight: "should",
    says: "an unknown info hash has zeros: clients warn where it is missing",
    run: async (wire) =>
      hold((await wire.scraped(wire.hash, wire.hash))["complete"] === 0, "it has other counts"),
  },
  {
    id: "WebTorrent.scrape-none",
    risky: true,
    weight: "custom",
    says: "a scrape without an info hash does not get all swarms",
    async run(wire) {
      const peer = await wire.join({ left: 1 });
      wire.tellText(peer, JSON.stringify({ action: "scrape" }));
      await wire.settled(peer).catch(() => {});
      const files = peer.client.heard.map((heard) => heard["files"]).find((found) => !!found);
      hold(Object.keys(files ?? {}).length === 0, "it gets them");
    },
  },
  {
    id: "BEP52.two-swarms",
    weight: "must",
    says: "the two info hashes of a hybrid are two swarms, with the same peer in both",
    async run(wire) {
      const other = wire.anotherHash();
      const peer = await wire.join({ left: 1 });
      const before = await wire.counts(other).catch(() => undefined);
      if (before === undefined) throw new NotTried("an unknown info hash is not answered");
      hold(before["incomplete"] === 0, "a peer of one swarm is counted in the other");
      wire.tell(peer, { action: "announce", info_hash: other, left: 1, event: "started" });
      await wire.settled(peer);
      for (const hash of [wire.hash, other]) {
        hold((await wire.counts(hash))["incomplete"] === 1, "the peer is not in both swarms");
      }
    },
  },
];

export const WEBSOCKET_CHECKS: Check<WebSocketWire>[] = [
  {
    id: "WebTorrent.handshake",
    weight: "must",
    says: "the handshake is accepted, with the right key and no extension nobody asked for",
    run: async (wire) => void (await wire.open()),
  },
  ...ANNOUNCES,
  ...OFFERS_AND_ANSWERS,
  ...MESSAGES,
];
