/**
 * The statements on swarms that hold over HTTP and UDP alike; one table, and the BEP of the
 * transport in their names.
 */
import { counted as amount } from "../../net/counted.ts";
import {
  type Check,
  has,
  hold,
  NotTried,
  ownPeer,
  type SwarmClient,
  type Told,
  without,
} from "./statements.ts";

const LEFT_32_BITS = 2n ** 32n;
const LEFT_UNKNOWN = 2n ** 63n - 1n;
const MANY = 1_000_000;

/** A seeder and two leechers; resolves to what the last one is told. */
async function three(client: SwarmClient): Promise<Told> {
  await client.announce(ownPeer(), { left: 0n });
  await client.announce(ownPeer());
  return client.announce(ownPeer(), { event: "none" });
}

/** A peer announces as asked, and must be counted as this. */
async function counted(
  client: SwarmClient,
  asked: Parameters<SwarmClient["announce"]>[1],
  as: "seeders" | "leechers",
): Promise<void> {
  await client.announce(ownPeer(), asked);
  const counts = await client.scrape(client.infoHash);
  const { seeders, leechers } = counts;
  hold(
    counts[as] === 1 && seeders + leechers === 1,
    `one peer was counted as ${seeders} seeders and ${leechers} leechers`,
  );
}

/** The table, for the BEP of a transport. */
export function swarmChecks(bep: "BEP3" | "BEP15"): Check<SwarmClient>[] {
  return [...PEERS, ...COUNTS].map((check) => ({ ...check, id: check.id.replace("BEP0", bep) }));
}

const PEERS: Check<SwarmClient>[] = [
  {
    id: "BEP0.second-peer",
    weight: "must",
    says: "a second peer is told of the first",
    async run(client) {
      const first = ownPeer();
      await client.announce(first);
      hold(has((await client.announce(ownPeer())).peers, first), "the first is not in the answer");
    },
  },
  {
    id: "BEP0.not-itself",
    weight: "custom",
    says: "a peer is not told of itself",
    async run(client) {
      const peer = ownPeer();
      await client.announce(peer);
      hold(!has((await client.announce(peer, { event: "none" })).peers, peer), "it is told");
    },
  },
  {
    id: "BEP0.early",
    weight: "must",
    says: "an announce before the interval is over is answered",
    async run(client) {
      const peer = ownPeer();
      for (let i = 0; i < 3; i++) await client.announce(peer, { event: "none" });
    },
  },
  {
    id: "BEP0.interval",
    weight: "must",
    says: "the interval is from 1 s to 2^31 - 1 s",
    async run(client) {
      const { interval } = await client.announce(ownPeer());
      hold(interval >= 1 && interval < 2 ** 31, `the interval is ${interval} s`);
    },
  },
  {
    id: "BEP0.stopped-answered",
    weight: "must",
    says: "stopped gets a whole answer: clients wait for it",
    async run(client) {
      const peer = ownPeer();
      await client.announce(peer);
      await client.announce(peer, { event: "stopped" });
    },
  },
  {
    id: "BEP0.stopped-removes",
    weight: "must",
    says: "a peer that has stopped is not given to others",
    async run(client) {
      const gone = ownPeer();
      await client.announce(gone);
      await client.announce(gone, { event: "stopped" });
      hold(!has((await client.announce(ownPeer())).peers, gone), "it is given to others");
    },
  },
  {
    id: "BEP0.stopped-unknown",
    weight: "should",
    says: "stopped of an unknown peer is answered, and stores nothing",
    async run(client) {
      const stranger = ownPeer();
      await client.announce(stranger, { event: "stopped" });
      hold(!has((await client.announce(ownPeer())).peers, stranger), "the peer was stored");
    },
  },
  {
    id: "BEP0.numwant-one",
    weight: "should",
    says: "numwant 1 gets at most one peer",
    async run(client) {
      await three(client);
      const peer = ownPeer();
      const peers = without((await client.announce(peer, { numwant: 1 })).peers, peer);
      hold(peers.length <= 1, `${amount(peers.length, "peer")} came`);
    },
  },
  {
    id: "BEP0.numwant-none",
    weight: "custom",
    says: "numwant 0 gets no peers",
    async run(client) {
      await three(client);
      const peer = ownPeer();
      const peers = without((await client.announce(peer, { numwant: 0 })).peers, peer);
      hold(peers.length === 0, `${amount(peers.length, "peer")} came`);
    },
  },
  {
    id: "BEP0.numwant-default",
    weight: "must",
    says: "numwant -1 over UDP, or none over HTTP, gets as many peers as the tracker likes",
    async run(client) {
      await three(client);
      const peer = ownPeer();
      const peers = without((await client.announce(peer, { numwant: -1 })).peers, peer);
      hold(peers.length > 0, "no peer came");
    },
  },
  {
    id: "BEP0.numwant-huge",
    weight: "should",
    says: `numwant ${MANY} is answered, with as many peers as the tracker likes`,
    async run(client) {
      await three(client);
      const peer = ownPeer();
      const peers = without((await client.announce(peer, { numwant: MANY })).peers, peer);
      hold(peers.length > 0, "no peer came");
    },
  },
  {
    id: "BEP0.port-zero",
    weight: "should",
    says: "a peer with port 0, which cannot be reached, is not given to others",
    async run(client) {
      const peer = { ...ownPeer(), port: 0 };
      // To refuse it is fine.
      await client.announce(peer).catch(() => {});
      const { peers } = await client.announce(ownPeer());
      hold(!has(peers, peer), "it is given to others");
    },
  },
  {
    id: "BEP52.two-swarms",
    weight: "must",
    says: "the two info hashes of a hybrid are two swarms, with the same peer in both",
    async run(client) {
      const hybrid = ownPeer();
      const [v1, v2] = [client.infoHash, client.anotherHash()];
      await client.announce(hybrid, { infoHash: v1 });
      const early = await client.announce(ownPeer(), { infoHash: v2 });
      hold(!has(early.peers, hybrid), "a peer of one swarm is given in the other");
      await client.announce(hybrid, { infoHash: v2 });
      for (const infoHash of [v1, v2]) {
        const { peers } = await client.announce(ownPeer(), { infoHash });
        hold(has(peers, hybrid), "the peer is not in both swarms");
      }
    },
  },
];

const COUNTS: Check<SwarmClient>[] = [
  {
    id: "BEP0.counts",
    weight: "should",
    says: "an announce counts seeders and leechers, each as such",
    async run(client) {
      const { seeders, leechers } = await three(client);
      hold(
        // Some trackers leave out the one that asks.
        seeders === 1 && (leechers === 1 || leechers === 2),
        `1 seeder and 2 leechers were counted as ${seeders} and ${leechers}`,
      );
    },
  },
  {
    id: "BEP0.left-unknown",
    weight: "must",
    says: "left = 2^63 - 1, a magnet link without metadata, is a leecher",
    run: (client) => counted(client, { left: LEFT_UNKNOWN }, "leechers"),
  },
  {
    id: "BEP0.left-64-bits",
    weight: "must",
    says: "left has 64 bits: 2^32 is a leecher",
    run: (client) => counted(client, { left: LEFT_32_BITS }, "leechers"),
  },
  {
    id: "BEP0.left-zero",
    weight: "must",
    says: "left = 0 is a seeder",
    run: (client) => counted(client, { left: 0n }, "seeders"),
  },
  {
    id: "BEP0.announced-twice",
    weight: "must",
    says: "a peer that announces twice, as a retransmission does, is counted once",
    async run(client) {
      const peer = ownPeer();
      for (let i = 0; i < 2; i++) await client.announce(peer);
      const { leechers } = await client.scrape(client.infoHash);
      hold(leechers === 1, `it is counted ${amount(leechers, "time")}`);
    },
  },
  {
    id: "BEP0.completed",
    weight: "must",
    says: "completed makes a leecher a seeder",
    async run(client) {
      const peer = ownPeer();
      await client.announce(peer);
      await client.announce(peer, { event: "completed", left: 0n });
      const { seeders, leechers } = await client.scrape(client.infoHash);
      hold(
        seeders === 1 && leechers === 0,
        `it is counted as ${seeders} seeders and ${leechers} leechers`,
      );
    },
  },
  {
    id: "BEP0.completed-once",
    weight: "should",
    says: "a download is counted once, however often completed is sent",
    async run(client) {
      const peer = ownPeer();
      await client.announce(peer);
      for (let i = 0; i < 2; i++) await client.announce(peer, { event: "completed", left: 0n });
      const { completed } = await client.scrape(client.infoHash);
      if (completed === undefined) throw new NotTried("the tracker does not count downloads");
      hold(completed === 1, `${completed} downloads were counted`);
    },
  },
  {
    id: "BEP21.paused",
    weight: "must",
    says: "a partial seed may say paused first: it is stored, and given to others",
    async run(client) {
      const partial = ownPeer();
      await client.announce(partial, { event: "paused" });
      hold(has((await client.announce(ownPeer())).peers, partial), "it is not given to others");
    },
  },
  {
    id: "BEP21.paused-counted",
    weight: "must",
    says: "a partial seed, which lacks something, is not counted as a seeder",
    run: (client) => counted(client, { event: "paused" }, "leechers"),
  },
  {
    id: "BEP48.reads",
    weight: "should",
    says: "a scrape changes nothing: an unknown swarm still has no peers",
    async run(client) {
      const before = await client.scrape(client.infoHash).catch(() => undefined);
      if (before === undefined) throw new NotTried("an unknown info hash is not answered");
      const { seeders, completed = 0, leechers } = await client.scrape(client.infoHash);
      hold(seeders + completed + leechers === 0, "a scrape made peers");
    },
  },
];
