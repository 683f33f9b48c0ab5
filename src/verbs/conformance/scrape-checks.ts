/**
 * The statements on scrapes over HTTP, as a table. A URL may have no scrape. [BEP 48, 21]
 */
import { countsOf, type HttpWire, readLoosely } from "./http-wire.ts";
import { type Check, hold, NotTried, ownPeer } from "./statements.ts";

/** Clients ask for so many; their URL is 1.5 KB. */
const MANY = 20;
export const HIGH = Buffer.from([0x80, 0xff, 0xc3, 0xa9, 0xfe]);

export const SCRAPE_CHECKS: Check<HttpWire>[] = [
  {
    id: "BEP48.files",
    weight: "must",
    says: "a scrape has the swarm with complete, downloaded and incomplete",
    async run(wire) {
      await wire.announce(ownPeer(), { left: 0n });
      for (let i = 0; i < 2; i++) await wire.announce(ownPeer());
      const { seeders, completed, leechers } = await wire.scrape(wire.infoHash);
      hold(completed !== undefined, "the swarm has no number downloaded");
      hold(seeders === 1 && leechers === 2, `1 and 2 were counted as ${seeders} and ${leechers}`);
    },
  },
  {
    id: "BEP48.sorted",
    weight: "must",
    says: "the info hashes and keys of a scrape are sorted, and none comes twice",
    async run(wire) {
      const hashes = Array.from({ length: 4 }, () => wire.anotherHash());
      for (const infoHash of hashes) await wire.announce(ownPeer(), { infoHash });
      const { body } = await wire.ask(wire.scrapeTarget(hashes.sort(Buffer.compare).reverse()));
      hold(readLoosely(body)?.sorted === true, "they are not");
    },
  },
  {
    id: "BEP48.twice",
    weight: "should",
    says: "an info hash that is asked for twice is answered once",
    async run(wire) {
      await wire.announce(ownPeer());
      const { body } = await wire.ask(wire.scrapeTarget([wire.infoHash, wire.infoHash]));
      const { value, sorted } = readLoosely(body) ?? {};
      hold(value instanceof Map, "there is no answer");
      hold(sorted === true, "it is answered twice");
    },
  },
  {
    id: "BEP48.unknown",
    weight: "should",
    says: "an unknown info hash has zeros: clients take a missing one for a failure",
    async run(wire) {
      const { seeders, completed, leechers } = await wire.scrape(wire.infoHash);
      hold(seeders + (completed ?? 0) + leechers === 0, "it has other counts");
    },
  },
  {
    id: "BEP48.many",
    weight: "must",
    says: `${MANY} info hashes in one scrape are all answered`,
    async run(wire) {
      const hashes = Array.from({ length: MANY }, () => wire.anotherHash());
      for (const infoHash of hashes) await wire.announce(ownPeer(), { infoHash });
      const files = await wire.files(hashes);
      hold(files.size === MANY, `${files.size} are`);
    },
  },
  {
    id: "BEP48.bytes",
    weight: "must",
    says: "a key is the 20 bytes of the info hash, also those of 128 and more",
    async run(wire) {
      const infoHash = wire.anotherHash(HIGH);
      await wire.announce(ownPeer(), { infoHash });
      await wire.files([infoHash]).then((files) => countsOf(files, infoHash));
    },
  },
  {
    id: "BEP48.fields-unknown",
    weight: "must",
    says: "unknown fields of a scrape are ignored",
    async run(wire) {
      await wire.announce(ownPeer());
      const files = await wire.files([wire.infoHash], "&azsf=1&key=ABC");
      countsOf(files, wire.infoHash);
    },
  },
  {
    id: "BEP48.none",
    risky: true,
    weight: "custom",
    says: "a scrape without an info hash does not get all swarms, which can be many",
    async run(wire) {
      await wire.announce(ownPeer());
      // Silence is fine.
      const answer = await wire.ask(wire.scrapeTarget([])).catch(() => undefined);
      if (answer === undefined) return;
      const { status, body } = answer;
      const reply = readLoosely(body)?.value;
      const files = reply instanceof Map ? reply.get("files") : undefined;
      hold(status !== 200 || !(files instanceof Map) || files.size === 0, "it gets them");
    },
  },
  {
    id: "BEP48.flags",
    weight: "should",
    says: "min_request_interval in flags, if it is there, is a number of seconds",
    async run(wire) {
      await wire.announce(ownPeer());
      const flags = (await wire.scraped([wire.infoHash])).get("flags");
      if (flags === undefined) return;
      hold(flags instanceof Map, "flags is no dictionary");
      const least = flags.get("min_request_interval") ?? 1;
      hold(typeof least === "number" && least > 0, "it is not");
    },
  },
  {
    id: "BEP21.downloaders",
    weight: "must",
    says: "downloaders in a scrape, if it is there, counts leechers without partial seeds",
    async run(wire) {
      await wire.announce(ownPeer());
      await wire.announce(ownPeer(), { event: "paused" }).catch(() => {
        throw new NotTried("a partial seed is refused");
      });
      const file = (await wire.files([wire.infoHash])).get(wire.infoHash.toString("latin1"));
      const downloaders = file instanceof Map ? file.get("downloaders") : undefined;
      hold(downloaders === undefined || downloaders === 1, `it is ${String(downloaders)}, not 1`);
    },
  },
];
