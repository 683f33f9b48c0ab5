/**
 * The statements on UDP, as a table: connection ids, the form of answers, options. [BEP 15, 7, 41]
 *
 * Without a right connection id a tracker may answer with an error, but with no more bytes than
 * came: else it reflects floods at the address that was forged.
 */
import { counted } from "../../net/counted.ts";
import { ACTION_CONNECT, ACTION_ERROR, ACTION_SCRAPE } from "../udp-client.ts";
import { type Check, has, hold, ownPeer, without } from "./statements.ts";
import { swarmChecks } from "./swarm-checks.ts";
import { connectPacket, MAGIC, request, type UdpWire } from "./udp-wire.ts";

/** As many hashes as fit one datagram; Transmission asks for 60, BiglyBT for 70. */
const SCRAPE_MANY = 74;
/** 192.0.2.1, which is nobody's. [RFC 5737] */
const FOREIGN = 0xc0000201;

/** Without the right id: nothing, or an error that does not grow. */
const smallError = (size: number) => (reply: Buffer) =>
  reply.length <= size && reply.length >= 8 && reply.readUInt32BE(0) === ACTION_ERROR;

/** An announce with these options is one like any other. */
async function announceWith(wire: UdpWire, options: Buffer): Promise<void> {
  const first = ownPeer();
  await wire.announce(first, { options });
  hold(has((await wire.announce(ownPeer())).peers, first), "the peer was not stored");
}

/** An announce with this id, from an address that got none or another. */
async function announceWithId(wire: UdpWire, id: bigint): Promise<void> {
  const stranger = ownPeer();
  const packet = await wire.packet(stranger, { id });
  await wire.silence(packet, smallError(packet.length));
  const seen = wire.exchanges.at(-1);
  hold(!has((await wire.announce(ownPeer())).peers, stranger), "the peer was stored");
  if (seen !== undefined) wire.exchanges.push(seen);
}

const option = (type: number, data: string) =>
  Buffer.concat([Buffer.from([type, data.length]), Buffer.from(data)]);

const CONNECT: Check<UdpWire>[] = [
  {
    id: "BEP15.connect-size",
    weight: "must",
    says: "the answer to a connect has exactly 16 bytes: aria2 and Transmission drop others",
    async run(wire) {
      const reply = await wire.exchange(connectPacket());
      hold(reply !== undefined, "there is no answer");
      hold(reply.length === 16, `it has ${counted(reply.length, "byte")}`);
      hold(reply.readUInt32BE(0) === ACTION_CONNECT, `it has action ${reply.readUInt32BE(0)}`);
    },
  },
  {
    id: "BEP15.connect-transaction",
    weight: "must",
    says: "the answer to a connect has its transaction number",
    async run(wire) {
      const asked = connectPacket();
      const reply = await wire.exchange(asked);
      hold(reply?.subarray(4, 8).equals(asked.subarray(12)) === true, "it has another");
    },
  },
  {
    id: "BEP15.connect-id",
    weight: "must",
    says: "a connection id is not 0, which rtorrent takes for none",
    run: async (wire) => hold((await wire.connect()) !== 0n, "it is 0"),
  },
  {
    id: "BEP15.connect-secret",
    weight: "should",
    says: "a connection id is not a constant: else any source can be forged",
    run: async (wire) => hold((await wire.connect()) !== MAGIC, "it is the number of a connect"),
  },
  {
    id: "BEP15.connect-longer",
    weight: "should",
    says: "a connect with further bytes is answered with 16",
    async run(wire) {
      const reply = await wire.exchange(Buffer.concat([connectPacket(), Buffer.alloc(16)]));
      hold(reply !== undefined, "there is no answer");
      hold(reply.length === 16, `it has ${counted(reply.length, "byte")}`);
    },
  },
  {
    id: "BEP15.connect-short",
    weight: "should",
    says: "fewer than 16 bytes have no answer",
    run: (wire) => wire.silence(connectPacket().subarray(0, 15)),
  },
  {
    id: "BEP15.connect-magic",
    weight: "should",
    says: "a connect with another number than the protocol's gets no connection id",
    run: (wire) => wire.silence(connectPacket(MAGIC + 1n), smallError(16)),
  },
  {
    id: "BEP15.id-again",
    weight: "must",
    says: "a connection id is good for many requests",
    async run(wire) {
      await wire.connect();
      for (let i = 0; i < 3; i++) await wire.announce(ownPeer());
      await wire.scrape(wire.infoHash);
    },
  },
  {
    id: "BEP15.id-other-port",
    weight: "must",
    says: "a connection id is good from another port of its address, where a NAT may put a client",
    async run(wire) {
      const id = await wire.connect();
      const other = wire.elsewhere();
      try {
        const packet = await wire.packet(ownPeer(), { id });
        const reply = await other.exchange(packet);
        wire.exchanges.push(...other.exchanges);
        hold(reply !== undefined, "there is no answer");
        wire.readAnnounced(reply);
        await wire.exchange(stopOf(packet));
      } finally {
        other.close();
      }
    },
  },
  {
    id: "BEP15.id-wrong",
    weight: "must",
    says: "an announce with a wrong connection id stores nothing and gets no more than it sent",
    run: async (wire) => announceWithId(wire, (await wire.connect()) ^ 1n),
  },
  {
    id: "BEP15.id-constant",
    weight: "must",
    says: "the number of a connect is no connection id",
    run: (wire) => announceWithId(wire, MAGIC),
  },
  {
    id: "BEP15.id-reflection",
    weight: "should",
    says: "16 bytes with a wrong connection id get no longer answer: trackers reflect no floods",
    async run(wire) {
      const id = (await wire.connect()) ^ 2n;
      await wire.silence(request(id, ACTION_SCRAPE, 16), smallError(16));
    },
  },
];

/** The same announce as a stopped one. */
function stopOf(packet: Buffer): Buffer {
  const stop = Buffer.from(packet);
  stop.writeUInt32BE(3, 80);
  return stop;
}

const ANNOUNCE: Check<UdpWire>[] = [
  {
    id: "BEP15.announce-transaction",
    weight: "must",
    says: "the answer to an announce has its transaction number and action 1",
    async run(wire) {
      const packet = await wire.packet(ownPeer());
      const reply = await wire.exchange(packet);
      hold(reply !== undefined, "there is no answer");
      wire.readAnnounced(reply);
      hold(reply.subarray(4, 8).equals(packet.subarray(12, 16)), "it has another number");
    },
  },
  {
    id: "BEP15.announce-short",
    weight: "should",
    says: "an announce of 97 bytes stores nothing",
    async run(wire) {
      const peer = ownPeer();
      const packet = (await wire.packet(peer)).subarray(0, 97);
      await wire.silence(packet, smallError(packet.length));
      const seen = wire.exchanges.at(-1);
      // The last byte of the port is missing, so any port near it counts.
      const second = ownPeer();
      const { peers } = await wire.announce(second, { numwant: 5 });
      if (seen !== undefined) wire.exchanges.push(seen);
      hold(without(peers, second).length === 0, "a peer was stored");
    },
  },
  {
    id: "BEP15.announce-ip",
    weight: "must",
    says: "the ip field names no other machine: else a tracker sends clients to a victim",
    async run(wire) {
      const peer = ownPeer();
      await wire.announce(peer, { ip: FOREIGN });
      const { peers } = await wire.announce(ownPeer());
      hold(!peers.some(({ address }) => address.endsWith("c0000201")), "it is believed");
    },
  },
  {
    id: "BEP15.announce-ip-listed",
    weight: "must",
    says: "a peer that fills the ip field, as rtorrent does, is given to others",
    async run(wire) {
      const peer = ownPeer();
      await wire.announce(peer, { ip: FOREIGN });
      hold(has((await wire.announce(ownPeer())).peers, peer), "it is not given to others");
    },
  },
  {
    id: "BEP15.left-minus-one",
    weight: "must",
    says: "left = 2^64 - 1, which is -1 of some clients, is a leecher",
    async run(wire) {
      await wire.announce(ownPeer(), { left: 2n ** 64n - 1n });
      const { seeders, leechers } = await wire.scrape(wire.infoHash);
      hold(leechers === 1, `it is counted as ${seeders} seeders and ${leechers} leechers`);
    },
  },
  {
    id: "BEP15.action-unknown",
    weight: "should",
    says: "an unknown action gets silence, or an error with its transaction number",
    async run(wire) {
      const asked = request(await wire.id(), 77, 98);
      await wire.silence(
        asked,
        (reply) =>
          reply.readUInt32BE(0) === ACTION_ERROR &&
          reply.subarray(4, 8).equals(asked.subarray(12, 16)),
      );
    },
  },
  {
    id: "BEP15.action-error",
    weight: "should",
    says: "an error is not answered: else two trackers could talk for ever",
    run: async (wire) => wire.silence(request(await wire.id(), ACTION_ERROR, 16)),
  },
  {
    id: "BEP7.udp-ipv4",
    weight: "must",
    family: 4,
    says: "over IPv4 peers have 6 bytes: the address that the tracker sees, and the port",
    run: (wire) => sourceIsListed(wire),
  },
  {
    id: "BEP7.udp-ipv6",
    weight: "must",
    family: 6,
    says: "over IPv6 peers have 18 bytes: the address that the tracker sees, and the port",
    run: (wire) => sourceIsListed(wire),
  },
];

/** The first peer is given at one address of the right size, not as text or mapped. */
async function sourceIsListed(wire: UdpWire): Promise<void> {
  const first = ownPeer();
  await wire.announce(first);
  const { peers } = await wire.announce(ownPeer());
  const found = peers.find(({ port }) => port === first.port);
  hold(found !== undefined, "the first peer is not there");
  hold(!found.address.startsWith("00000000000000000000ffff"), "it is a mapped IPv4 address");
  const source = await wire.source();
  hold(
    source === undefined || found.address === source,
    `its address is ${found.address}, not ${source}`,
  );
}

const SCRAPE: Check<UdpWire>[] = [
  {
    id: "BEP15.scrape-order",
    weight: "must",
    says: "a scrape has seeders, downloads and leechers, in this order",
    async run(wire) {
      for (const left of [0n, 0n, 1n]) await wire.announce(ownPeer(), { left });
      const { seeders, leechers } = await wire.scrape(wire.infoHash);
      hold(seeders === 2 && leechers === 1, `2 and 1 were counted as ${seeders} and ${leechers}`);
    },
  },
  {
    id: "BEP15.scrape-positions",
    weight: "must",
    says: "a scrape answers by position, also where a hash comes twice",
    async run(wire) {
      const others = [wire.anotherHash(), wire.anotherHash()];
      await wire.announce(ownPeer());
      const asked = [others[0], wire.infoHash, others[1], wire.infoHash];
      const leechers = (await wire.scrapeAll(asked)).map((counts) => counts.leechers).join();
      hold(leechers === "0,1,0,1", `0,1,0,1 leechers were counted as ${leechers}`);
    },
  },
  {
    id: "BEP15.scrape-unknown",
    weight: "must",
    says: "an unknown info hash has zeros",
    async run(wire) {
      const { seeders, completed, leechers } = await wire.scrape(wire.infoHash);
      hold(seeders + (completed ?? 0) + leechers === 0, "it has not");
    },
  },
  {
    id: "BEP15.scrape-many",
    weight: "should",
    says: `a scrape of ${SCRAPE_MANY} info hashes is answered in full`,
    async run(wire) {
      await wire.scrapeAll(Array.from({ length: SCRAPE_MANY }, () => wire.anotherHash()));
    },
  },
  {
    id: "BEP15.scrape-partial",
    weight: "should",
    says: "a piece of an info hash at the end of a scrape has no answer",
    run: async (wire) => void (await wire.scrapeAll([wire.infoHash], Buffer.alloc(7))),
  },
  {
    id: "BEP15.scrape-none",
    weight: "should",
    says: "a scrape without an info hash does not get all swarms",
    async run(wire) {
      await wire.announce(ownPeer());
      const reply = await wire.exchange(await wire.scrapePacket([]), wire.silenceMilliseconds);
      hold(reply === undefined || reply.length < 64, "it gets them");
      const counted = reply !== undefined && reply.readUInt32BE(0) === ACTION_SCRAPE;
      hold(!counted || reply.length === 8, "it gets some");
    },
  },
];

const OPTIONS: Check<UdpWire>[] = [
  ["url", "must", "URLData is taken", option(2, "/announce?key=1")],
  ["url-empty", "must", "URLData may be empty", option(2, "")],
  [
    "url-parts",
    "should",
    "URLData may come in several parts",
    Buffer.concat(["/ann", "ounce", ""].map((part) => option(2, part))),
  ],
  ["nop", "must", "an option that does nothing has one byte", Buffer.from([1, 1, 1, 2, 1, 47])],
  ["end", "must", "what follows the end of the options is ignored", Buffer.from([0, 2, 200, 1])],
  ["unknown", "must", "an unknown option is skipped", option(200, "unknown")],
  ["cut", "should", "an announce with an option that is cut is answered", Buffer.from([2, 99, 47])],
  ["aria2", "must", "the two zero bytes of aria2 are taken", Buffer.alloc(2)],
  [
    "auth",
    "should",
    "16 bytes of user and password, as of BiglyBT, are taken",
    option(117, "ser\0\0\0\0pass\0\0\0"),
  ],
].map(([name, weight, says, options]) => ({
  id: `BEP41.${name as string}`,
  weight: weight as "must" | "should",
  says: `${says as string}: the announce is valid`,
  run: (wire: UdpWire) => announceWith(wire, options as Buffer),
}));

export const UDP_CHECKS: Check<UdpWire>[] = [
  ...CONNECT,
  ...ANNOUNCE,
  ...swarmChecks("BEP15"),
  ...SCRAPE,
  ...OPTIONS,
];
