import { estimateShallowMemoryUsageOf } from "bun:jsc";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Neighbourhood } from "../../src/http/neighbours.ts";
import { Networks, readAddress } from "../../src/net/addresses.ts";

/** The place of an address in text. */
function placeOf(neighbourhood: Neighbourhood, text: string) {
  const address = new Uint8Array(16);
  return neighbourhood.of(address, readAddress(text, address, 0));
}

test("an IPv4 address is a place, and so is an IPv6 /64", () => {
  const all = new Neighbourhood();
  const joined = ["192.0.2.7", "2001:db8::1"].map((text) => placeOf(all, text));
  joined.forEach((place) => all.join(place));
  expect(placeOf(all, "::ffff:192.0.2.7")).toBe(joined[0]!);
  expect(placeOf(all, "2001:db8::ffff:0:0:2")).toBe(joined[1]!);
  expect(placeOf(all, "192.0.2.8").open).toBe(0);
  expect(placeOf(all, "2001:db8:0:1::1").open).toBe(0);
  expect(placeOf(all, "2001:db8::1:0:0:0:1").open).toBe(0);
});

test("a place knows how many connections and peers its IPv6 /48 has, unless it is exempt", () => {
  const all = new Neighbourhood(new Networks(["10.0.0.0/8"]));
  const texts = ["2001:db8::1", "2001:db8:0:1::1", "2001:db8:1::1", "10.0.0.1", "10.0.0.2"];
  const joined = texts.map((text) => {
    const place = placeOf(all, text);
    all.join(place);
    return place;
  });
  expect(joined.map(({ siteOpen }) => siteOpen)).toEqual([2, 2, 1, 0, 0]);
  joined.forEach((place) => place.addPeers(3));
  joined[0]!.addPeers(-1);
  expect(joined.map(({ peers }) => peers)).toEqual([2, 3, 3, 3, 3]);
  expect(joined.map(({ sitePeers }) => sitePeers)).toEqual([5, 5, 3, 0, 0]);
});

test("what orders connections is kept only while one of them can give way", () => {
  const all = new Neighbourhood();
  const place = placeOf(all, "192.0.2.7");
  all.join(place);
  const { connections, rank } = place;
  expect(place.connections).toBe(connections);
  expect(place.rank).toBe(rank);
  expect(all.heaviest).toBe(place);
  all.noteLasting(place);
  expect(all.heaviest).toBeUndefined();
  expect(place.connections).not.toBe(connections);
  all.join(place);
  expect(all.heaviest).toBe(place);
});

test("a place is forgotten with its last connection, and only then", () => {
  const all = new Neighbourhood();
  const place = placeOf(all, "192.0.2.7");
  all.join(place);
  all.join(placeOf(all, "192.0.2.7"));
  expect([place.open, all.size]).toEqual([2, 1]);
  all.leave(place);
  expect(placeOf(all, "192.0.2.7")).toBe(place);
  all.leave(place);
  expect([place.open, all.size]).toEqual([0, 0]);
});

test("an exempt or unknown address has no neighbours", () => {
  const all = new Neighbourhood(new Networks(["10.0.0.0/8", "fd00::/8"]));
  for (const text of ["10.1.2.3", "fd00::1", ""]) {
    all.join(placeOf(all, text));
    expect(placeOf(all, text).open).toBe(0);
  }
  expect(all.size).toBe(0);
});

test("the site with the most connections is known at any time", () => {
  const all = new Neighbourhood(new Networks(["10.0.0.0/8"]));
  const texts = [
    "192.0.2.7",
    "192.0.2.8",
    "2001:db8::1",
    "2001:db8:0:1::1",
    "2001:db9::1",
    "10.1.1.1",
  ];
  const open = new Map<string, number>();
  const siteOf = (text: string) => (text.startsWith("2001") ? text.slice(0, 9) : text);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...texts), fc.boolean())), (steps) => {
      const joined: ReturnType<typeof placeOf>[] = [];
      open.clear();
      for (const [text, comes] of steps) {
        const place = placeOf(all, text);
        if (comes) {
          all.join(place);
          joined.push(place);
        } else if (place.open > 0) {
          all.leave(place);
          joined.splice(joined.indexOf(place), 1);
        } else continue;
        if (!text.startsWith("10.")) {
          open.set(siteOf(text), (open.get(siteOf(text)) ?? 0) + (comes ? 1 : -1));
        }
        expect(all.heaviest?.open ?? 0).toBe(Math.max(0, ...open.values()));
      }
      for (const place of joined) all.leave(place);
      expect([all.size, all.heaviest]).toEqual([0, undefined]);
    }),
  );
});

test("a place takes 80 bytes, for nearly every WebSocket has one of its own", () => {
  const place = placeOf(new Neighbourhood(), "192.0.2.7");
  expect(estimateShallowMemoryUsageOf(place)).toBeLessThanOrEqual(80);
});
