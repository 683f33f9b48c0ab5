import { expect, test } from "bun:test";
import { type FakeClient, HASH, type Json, openEngine } from "./fixture.ts";
import { hash20 } from "./some-words.ts";

test("a swarm finds its peers by id, however many they are", () => {
  const { join, swarms } = openEngine();
  const clients = Array.from({ length: 40 }, () => join());
  const found = () => clients.map(({ peerId }) => swarms.get(HASH)?.find(peerId)?.id);
  for (const client of clients) client.announce();
  expect(found()).toEqual(clients.map(({ peerId }) => peerId));
  clients.slice(0, 35).forEach((client) => client.leave());
  expect(found()).toEqual(clients.map(({ peerId }, i) => (i < 35 ? undefined : peerId)));
});

test("seeders lie before leechers", () => {
  const { join, swarms } = openEngine();
  const clients = Array.from({ length: 9 }, () => join());
  clients.forEach((client, i) => client.announce({ left: i % 2 }));
  clients.forEach((client, i) => client.announce({ left: (i + 1) % 2 }));
  const { peers, seeders, leechers } = swarms.get(HASH)!;
  expect([seeders, leechers]).toEqual([4, 5]);
  expect(peers.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(peers.map(({ isSeeder }) => isSeeder)).toEqual(peers.map((_, i) => i < 4));
});

/** A small generator, so that a failure can be repeated. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) % sides;
  };
}

/** A client in the model: its swarms, each with the role it has there. */
interface Modelled {
  client: FakeClient;
  roles: Map<string, boolean>;
  open: boolean;
  /** Offers that came to it and are not answered. */
  offers: Json[];
}

/**
 * Counts of a swarm, in the model.
 */
function countsOf(all: Modelled[], hash: string): [number, number] {
  const roles = all.flatMap(({ roles }) => (roles.has(hash) ? [roles.get(hash)!] : []));
  return [roles.filter(Boolean).length, roles.filter((seeder) => !seeder).length];
}

for (const seed of [1, 2, 3]) {
  test(`1,000 random steps of 200 clients leave what a plain model has (${seed})`, () => {
    const { join, swarms, clock, bugs } = openEngine({ peersMax: 100_000 });
    const roll = dice(seed);
    const make = (): Modelled => {
      const client = join(`10.0.${roll(200)}.${roll(200)}`);
      return { client, roles: new Map(), open: true, offers: [] };
    };
    const all = Array.from({ length: 200 }, make);
    const listen = (): void => {
      for (const each of all) {
        for (const message of each.open ? each.client.heard() : []) {
          if (message["offer"] === undefined) continue;
          expect(message["peer_id"]).not.toBe(each.client.peerId);
          each.offers.push(message);
        }
      }
    };
    for (let step = 0; step < 1000; step++) {
      const at = roll(all.length);
      const one = all[at]!;
      const hash = hash20(roll(12));
      const kind = roll(12);
      clock.now += roll(3) / 10;
      if (kind < 6) {
        const left = roll(2);
        const offers = Array.from({ length: roll(11) }, (_, i) => ({
          offer: { type: "offer", sdp: String(step) },
          offer_id: `${step}/${i}`.padEnd(20, " "),
        }));
        const [reply] = one.client.announce({ info_hash: hash, left, offers });
        one.roles.set(hash, left === 0);
        expect([reply!["complete"], reply!["incomplete"]]).toEqual(countsOf(all, hash));
        const before = all.map((each) => each.offers.length);
        listen();
        all.forEach((each, i) => expect(each.offers.length - before[i]!).toBeLessThanOrEqual(1));
      } else if (kind < 8) {
        const [reply] = one.client.announce({ info_hash: hash, event: "stopped" });
        one.roles.delete(hash);
        expect([reply!["complete"], reply!["incomplete"]]).toEqual(countsOf(all, hash));
      } else if (kind < 11) {
        const offer = one.offers.pop();
        if (offer === undefined) continue;
        const { info_hash, offer_id, peer_id } = offer;
        const answer = { type: "answer", sdp: "a" };
        const members = { action: "announce", info_hash, offer_id, to_peer_id: peer_id, answer };
        one.client.say({ ...members, peer_id: one.client.peerId });
        const receiver = all.find(({ client }) => client.peerId === peer_id);
        const got = receiver?.client.heard().filter((each) => each["answer"]).length ?? 0;
        // A receiver that stopped and came back has forgotten its offers.
        const present = receiver?.roles.has(info_hash) && one.roles.has(info_hash);
        expect(got).toBeLessThanOrEqual(present ? 1 : 0);
      } else {
        one.client.leave();
        all[at] = make();
      }
    }
    const hashes = new Set(all.flatMap(({ roles }) => [...roles.keys()]));
    expect(swarms.size).toBe(hashes.size);
    expect(swarms.peers).toBe(all.reduce((sum, { roles }) => sum + roles.size, 0));
    for (const { client } of all) client.leave();
    expect([swarms.size, swarms.peers, swarms.seeders]).toEqual([0, 0, 0]);
    expect(bugs).toEqual([]);
  });
}
