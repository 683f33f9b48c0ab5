/**
 * The statements on announces over HTTP, as a table. [BEP 3, 7, 21, 23, 24, 31, 52]
 *
 * Each is about one thing: a tracker that errs in one breaks one statement, as far as that goes.
 */
import { readBencode } from "../bencode-reader.ts";
import { CONNECTION_CHECKS } from "./connection-checks.ts";
import { type Dictionary, HttpWire, percent, type Query } from "./http-wire.ts";
import { readLoosely, readPeers } from "./http-wire.ts";
import { broken, type Check, has, hold, NotTried, type OwnPeer, ownPeer } from "./statements.ts";
import { swarmChecks } from "./swarm-checks.ts";

/** Bytes that parsers of queries stumble over. */
export const AWKWARD = Buffer.from([
  0, 10, 13, 32, 35, 37, 38, 43, 61, 63, 127, 128, 192, 254, 255,
]);
/** Bytes that no client escapes. */
export const PLAIN = Buffer.from("aZ09-._~");
/** An address that is nobody's, in both forms. [RFC 5737, RFC 3849] */
const FOREIGN = "192.0.2.1";
const FOREIGN_DIGITS = "c0000201";
const FOREIGN_IPV6 = "2001:db8::77";
const FOREIGN_IPV6_DIGITS = "20010db8000000000000000000000077";

/** An announce with these fields is one like any other: a second peer is told of it. */
function taken(query: Query): (wire: HttpWire) => Promise<void> {
  return async (wire) => {
    const first = ownPeer();
    await wire.announce(first, query);
    hold(has((await wire.announce(ownPeer())).peers, first), "the peer was not stored");
  };
}

/** An announce with these fields may be refused, but must store no peer. */
function notStored(query: Query, port: number): (wire: HttpWire) => Promise<void> {
  return async (wire) => {
    const peer = ownPeer();
    // Silence is fine here; what a failure must be is a statement of its own.
    await wire.ask(wire.target(peer, query)).catch(() => {});
    const { peers } = await wire.announce(ownPeer());
    const stored = peers.filter((one) => one.port === port || one.port === peer.port);
    hold(stored.length === 0, `a peer with port ${stored[0]?.port} was stored`);
  };
}

/** An announce that names another machine, which must not be given to others. */
function foreign(fields: Record<string, string>, digits: string) {
  return async (wire: HttpWire): Promise<void> => {
    const query = Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, escape(v)]));
    // To refuse it is fine.
    await wire.announce(ownPeer(), { fields: query }).catch(() => {});
    const { peers } = await wire.announce(ownPeer());
    hold(!peers.some(({ address }) => address === digits), "it is believed");
  };
}

const escape = (text: string): string => text.replaceAll(":", "%3A");

/** Whether something is refused is a statement of its own. */
function notRefused(): never {
  throw new NotTried("a wrong announce is not refused");
}

/** The answer to a plain announce, as it came. */
async function plain(wire: HttpWire): Promise<Dictionary> {
  await wire.announce(ownPeer());
  return (await wire.announce(ownPeer())).reply;
}

const ANSWERS: Check<HttpWire>[] = [
  {
    id: "BEP3.status",
    weight: "must",
    says: "an announce is answered with status 200",
    async run(wire) {
      const { status } = await wire.ask(wire.target(ownPeer()));
      hold(status === 200, `the status is ${status}`);
    },
  },
  {
    id: "BEP3.bencode",
    weight: "must",
    says: "the answer is one bencoded dictionary, and nothing after it",
    async run(wire) {
      const { body } = await wire.ask(wire.target(ownPeer()));
      hold(readBencode(body)?.value instanceof Map, "it is not");
    },
  },
  {
    id: "BEP3.sorted",
    weight: "must",
    says: "the keys of an answer are sorted, and none comes twice",
    async run(wire) {
      const { body } = await wire.ask(wire.target(ownPeer()));
      hold(readLoosely(body)?.sorted === true, "they are not");
    },
  },
  {
    id: "BEP3.peers",
    weight: "must",
    says: "peers is always there, even empty: some clients fail without it",
    async run(wire) {
      hold((await wire.announce(ownPeer())).reply.has("peers"), "it is not there");
    },
  },
  {
    id: "BEP3.peers-stopped",
    weight: "should",
    says: "peers is there in the answer to stopped",
    async run(wire) {
      const peer = ownPeer();
      await wire.announce(peer);
      const { reply } = await wire.announce(peer, { event: "stopped" });
      hold(reply.has("peers"), "it is not there");
    },
  },
  {
    id: "BEP3.min-interval",
    weight: "should",
    says: "min interval, if it is there, is a number and not longer than interval",
    async run(wire) {
      const { interval, reply } = await wire.announce(ownPeer());
      const shortest = reply.get("min interval") ?? 0;
      hold(typeof shortest === "number" && shortest <= interval, "it is not");
    },
  },
  {
    id: "BEP3.no-tracker-id",
    weight: "custom",
    says: "there is no tracker id, which Transmission 3 sends back unescaped",
    async run(wire) {
      hold(!(await plain(wire)).has("tracker id"), "there is one");
    },
  },
  {
    id: "BEP3.failure-form",
    weight: "should",
    says: "a wrong announce gets status 200 and a failure reason, which people read",
    async run(wire) {
      const fields = { info_hash: percent(wire.infoHash.subarray(1)) };
      const refused = await wire.refusal(ownPeer(), { fields }).catch(notRefused);
      hold(refused !== undefined, "there is no answer");
      const { status, body } = refused;
      const reply = readLoosely(body)?.value;
      const reason = reply instanceof Map ? reply.get("failure reason") : undefined;
      hold(typeof reason === "string" && reason !== "", "there is no failure reason");
      hold(status === 200, `the status is ${status}`);
    },
  },
  {
    id: "BEP31.retry-in",
    weight: "must",
    says: "retry in of a failure, if it is there, is text: minutes, or never",
    async run(wire) {
      const fields = { info_hash: undefined };
      const refused = await wire.refusal(ownPeer(), { fields }).catch(notRefused);
      if (refused === undefined) throw new NotTried("a wrong announce is not answered");
      const reply = readLoosely(refused.body)?.value;
      const retry = reply instanceof Map ? reply.get("retry in") : undefined;
      hold(retry === undefined || /^([1-9]\d*|never)$/.test(String(retry)), "it is not");
      hold(typeof retry !== "number", "it is a number: a strict client reads a text");
    },
  },
  {
    id: "BEP24.external-ip",
    weight: "must",
    says: "external ip, if it is there, is the client's address as 4 or 16 bytes",
    async run(wire) {
      const told = (await plain(wire)).get("external ip");
      if (told === undefined) return;
      const digits = Buffer.from(String(told), "latin1").toString("hex");
      hold([8, 32].includes(digits.length), `it has ${digits.length / 2} bytes`);
      const source = await wire.source();
      hold(source === undefined || source === digits, `it is ${digits}, not ${source}`);
    },
  },
];

const QUERIES: Check<HttpWire>[] = [
  {
    id: "BEP3.escapes",
    weight: "must",
    says: "%aa, %AA and the letters themselves are the same bytes",
    async run(wire) {
      const first = ownPeer();
      const hash = wire.anotherHash(PLAIN);
      await wire.announce(first, { infoHash: hash });
      const upper = percent(hash).toUpperCase();
      const raw = `${PLAIN.toString()}${percent(hash.subarray(PLAIN.length))}`;
      for (const info_hash of [upper, raw]) {
        const { peers } = await wire.announce(ownPeer(), { infoHash: hash, fields: { info_hash } });
        hold(has(peers, first), `${info_hash} is another swarm`);
      }
    },
  },
  {
    id: "BEP3.bytes",
    weight: "must",
    says: "an info hash may hold any bytes: two that differ in one are two swarms",
    async run(wire) {
      const hash = wire.anotherHash(AWKWARD);
      const others = hash
        .subarray(0, AWKWARD.length)
        .entries()
        .map(([at, byte]) => {
          const other = Buffer.from(hash);
          other[at] = byte ^ 1;
          return other;
        });
      const strangers: OwnPeer[] = [];
      for (const infoHash of others) {
        strangers.push(ownPeer());
        await wire.announce(strangers.at(-1)!, { infoHash });
      }
      const { peers } = await wire.announce(ownPeer(), { infoHash: hash });
      const found = strangers.findIndex((stranger) => has(peers, stranger));
      hold(found < 0, `a peer of the swarm with another byte ${found} came`);
    },
  },
  ...(
    [
      ["hash-short", "19 bytes", (hash) => percent(hash.subarray(1))],
      ["hash-long", "21 bytes", (hash) => `${percent(hash)}x`],
      ["hash-hex", "40 digits", (hash) => hash.toString("hex")],
      ["hash-missing", "no bytes", () => undefined],
    ] as [string, string, (hash: Buffer) => string | undefined][]
  ).map(([name, what, make]): Check<HttpWire> => ({
    id: `BEP3.${name}`,
    weight: "should",
    says: `an info hash of ${what} is refused`,
    run: async (wire) =>
      void (await wire.refusal(ownPeer(), { fields: { info_hash: make(wire.infoHash) } })),
  })),
  {
    id: "BEP52.hash-long",
    weight: "should",
    says: "an info hash of 32 bytes is refused: of a v2 torrent the first 20 are sent",
    async run(wire) {
      const long = percent(Buffer.concat([wire.infoHash, Buffer.alloc(12, 7)]));
      await wire.refusal(ownPeer(), { fields: { info_hash: long } });
    },
  },
  {
    id: "BEP3.peer-id",
    weight: "custom",
    says: "a peer id of 19 bytes is refused",
    run: async (wire) =>
      void (await wire.refusal(ownPeer(), { fields: { peer_id: "x".repeat(19) } })),
  },
  {
    id: "BEP3.port-overflow",
    risky: true,
    weight: "must",
    says: "port 65637 is not port 101",
    run: notStored({ fields: { port: "65637" } }, 101),
  },
  {
    id: "BEP3.port-negative",
    risky: true,
    weight: "should",
    says: "a negative port stores no peer",
    run: notStored({ fields: { port: "-435" } }, 65_101),
  },
  {
    id: "BEP3.port-text",
    weight: "should",
    says: "a port that is no number stores no peer",
    run: notStored({ fields: { port: "102x" } }, 102),
  },
  {
    id: "BEP3.fields-unknown",
    weight: "must",
    says: "unknown fields are ignored: clients send corrupt, azudp, supportcrypto and others",
    run: taken({ fields: { corrupt: "0", azudp: "7", supportcrypto: "1", redundant: "" } }),
  },
  {
    id: "BEP3.event-empty",
    weight: "must",
    says: "an empty event is a plain announce",
    run: taken({ fields: { event: "" } }),
  },
  {
    id: "BEP3.event-unknown",
    weight: "should",
    says: "an unknown event is a plain announce",
    run: taken({ fields: { event: "resumed" } }),
  },
  {
    id: "BEP3.left-missing",
    weight: "must",
    says: "an announce without left, as for a magnet link, is of a leecher",
    run: leecherWith(undefined),
  },
  {
    id: "BEP3.left-negative",
    weight: "should",
    says: "left = -1 is a leecher",
    run: leecherWith("-1"),
  },
  {
    id: "BEP3.amounts",
    weight: "should",
    says: "uploaded and downloaded beyond 64 bits are taken",
    run: taken({ fields: { uploaded: "9".repeat(25), downloaded: "9".repeat(25) } }),
  },
  {
    id: "BEP3.ip",
    weight: "must",
    says: "ip= names no other machine: else a tracker sends clients to a victim",
    run: foreign({ ip: FOREIGN }, FOREIGN_DIGITS),
  },
  {
    id: "BEP7.ipv4",
    weight: "must",
    says: "ipv4= names no other machine",
    run: foreign({ ipv4: FOREIGN }, FOREIGN_DIGITS),
  },
  {
    id: "BEP7.ipv6",
    weight: "must",
    says: "ipv6= names no other machine",
    run: foreign({ ipv6: FOREIGN_IPV6 }, FOREIGN_IPV6_DIGITS),
  },
  {
    id: "BEP7.addresses-taken",
    weight: "must",
    says: "an announce with ipv4= and ipv6=, as of Transmission 4, is answered",
    run: taken({ fields: { ipv4: FOREIGN, ipv6: escape(FOREIGN_IPV6) } }),
  },
  {
    id: "BEP7.key",
    weight: "must",
    says: "key is any text: clients send digits, letters, a signed number and raw bytes",
    async run(wire) {
      for (const key of ["0A1B2C3D", "-1234", "abcdefgh", "%ff%00%80%0a", ""]) {
        await taken({ fields: { key } })(wire);
      }
    },
  },
];

/** An announce with this left is counted as of a leecher. */
function leecherWith(left: string | undefined): (wire: HttpWire) => Promise<void> {
  return async (wire) => {
    await wire.announce(ownPeer(), { fields: { left } });
    const { seeders, leechers } = await wire.scrape(wire.infoHash);
    hold(leechers === 1, `it is counted as ${seeders} seeders and ${leechers} leechers`);
  };
}

const FORMS: Check<HttpWire>[] = [
  {
    id: "BEP23.compact",
    weight: "must",
    says: "compact=1 gets peers as bytes",
    async run(wire) {
      hold(isCompact(await plain(wire)), "it does not");
    },
  },
  {
    id: "BEP23.compact-default",
    weight: "custom",
    says: "without compact peers come as bytes",
    async run(wire) {
      await wire.announce(ownPeer());
      const { reply } = await wire.announce(ownPeer(), { fields: { compact: undefined } });
      hold(isCompact(reply), "they do not");
    },
  },
  {
    id: "BEP23.compact-zero",
    weight: "should",
    says: "compact=0 is answered, in either form, with the peer in it",
    async run(wire) {
      const first = ownPeer();
      await wire.announce(first);
      const { peers } = await wire.announce(ownPeer(), { fields: { compact: "0" } });
      hold(has(peers, first), "the first peer is not there");
    },
  },
  {
    id: "BEP23.source",
    weight: "must",
    family: 4,
    says: "a peer has 6 bytes in peers: the address that the tracker sees, and the port",
    run: (wire) => listedIn(wire, "peers", 6),
  },
  {
    id: "BEP7.peers6",
    weight: "must",
    family: 6,
    says: "over IPv6 a peer has 18 bytes in peers6: the address that the tracker sees, its port",
    run: (wire) => listedIn(wire, "peers6", 18),
  },
];

/** Whether all peers come as bytes. */
function isCompact(reply: Dictionary): boolean {
  const lists = ["peers", "peers6"]
    .map((key) => reply.get(key))
    .filter((list) => list !== undefined);
  return lists.length > 0 && lists.every((list) => typeof list === "string");
}

/** The first peer is at its source address in the list of its family, and in no other. */
async function listedIn(wire: HttpWire, key: "peers" | "peers6", size: 6 | 18): Promise<void> {
  const first = ownPeer();
  await wire.announce(first);
  const { reply, peers } = await wire.announce(ownPeer());
  const found = readPeers(reply.get(key), size).find(({ port }) => port === first.port);
  if (found === undefined) broken(`the first peer is not in ${key}`);
  hold(peers.filter(({ port }) => port === first.port).length === 1, "it is there twice");
  const source = await wire.source();
  hold(source === undefined || found.address === source, `it is ${found.address}, not ${source}`);
}

export const HTTP_CHECKS: Check<HttpWire>[] = [
  ...ANSWERS,
  ...QUERIES,
  ...FORMS,
  ...swarmChecks("BEP3"),
  ...CONNECTION_CHECKS,
];
