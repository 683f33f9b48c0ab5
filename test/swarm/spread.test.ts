/** A reply of two peers or more is never of one network while others could be offered. */
import { describe, expect, test } from "bun:test";
import { announceFrom, makeTracker } from "./fixture.ts";

/** The /24 of "a.b.c.d:port", the /48 of "[xxxx…]:port". */
const networkOf = (peer: string): string =>
  peer.startsWith("[") ? peer.slice(1, 13) : peer.split(".").slice(0, 3).join(".");

for (const family of [4, 6] as const) {
  const crowd = family === 4 ? [9, 9, 9] : [0x20, 1, 13, 13, 1, 1];
  const lonely = family === 4 ? [60, 5, 5, 5] : [0x26, 5];
  const asking = family === 4 ? [77, 7, 7, 7] : [0x2a, 7];
  for (const count of [3, 100, 127, 300, 1500]) {
    describe(`beside ${count} peers of one network, IPv${family}`, () => {
      for (const [where, lonelySeeds] of [
        ["among them", true],
        ["with another role", false],
      ] as const) {
        test(`one ${where} is in every reply, whatever is wanted`, () => {
          const { tracker } = makeTracker();
          for (let port = 1; port <= count; port++) {
            announceFrom(tracker, { address: [...crowd, port & 0xff], family, port, seeder: true });
          }
          announceFrom(tracker, { address: lonely, family, port: 1, seeder: lonelySeeds });
          for (const wanted of [2, 3, 5, 30, 50, 200]) {
            for (let i = 0; i < 20; i++) {
              const told = announceFrom(tracker, { address: asking, family, port: 0, wanted });
              const stored = tracker.reply.seeders + tracker.reply.leechers;
              expect(told.length).toBe(Math.min(wanted, stored));
              expect(new Set(told).size).toBe(told.length);
              expect(new Set(told.map(networkOf)).size).toBe(2);
            }
          }
        });
      }

      test("alone, they are all that is told, and each as often as wanted", () => {
        const { tracker } = makeTracker();
        for (let port = 1; port <= count; port++) {
          announceFrom(tracker, { address: [...crowd, port & 0xff], family, port });
        }
        const stored = tracker.reply.leechers;
        for (const wanted of [1, 2, 50, 200]) {
          const told = announceFrom(tracker, { address: asking, family, port: 0, wanted });
          expect(told.length).toBe(Math.min(wanted, stored));
          expect(new Set(told).size).toBe(told.length);
        }
      });
    });
  }
}

test("a seeder that starts is told of a seeder elsewhere, not only of one network", () => {
  const { tracker } = makeTracker();
  for (let port = 1; port <= 49; port++) announceFrom(tracker, { address: [9, 9, 9, 9], port });
  for (let port = 100; port < 1300; port++) {
    announceFrom(tracker, { address: [9, 9, 9, port & 0xff], port, seeder: true });
  }
  for (let i = 0; i < 20; i++) announceFrom(tracker, { address: [60 + i, 5, 5, 5], seeder: true });
  for (let i = 0; i < 100; i++) {
    const asks = { address: [77, 7, 7, 7], port: 0, wanted: 50, seeder: true };
    const told = announceFrom(tracker, { ...asks, event: "started" });
    expect(told.length).toBe(50);
    expect(new Set(told.map(networkOf)).size).toBe(2);
  }
});

test("a crowd of one family does not hide the other from a client that is told both", () => {
  const { tracker } = makeTracker();
  for (let port = 1; port <= 1000; port++) announceFrom(tracker, { address: [9, 9, 9, 9], port });
  announceFrom(tracker, { address: [0x26, 5], family: 6 });
  for (let i = 0; i < 50; i++) {
    const asks = { address: [77, 7, 7, 7], port: 0, wanted: 30, bothFamilies: true };
    const told = announceFrom(tracker, asks);
    expect(told.length).toBe(30);
    expect(told.filter((peer) => peer.startsWith("[")).length).toBe(1);
  }
});

test("the announcer itself is never told to itself, however the reply is drawn", () => {
  for (const count of [100, 1000]) {
    const { tracker } = makeTracker();
    for (let port = 1; port <= count; port++)
      announceFrom(tracker, { address: [9, 9, 9, 9], port });
    for (let port = 1; port <= count; port += 7) {
      const told = announceFrom(tracker, { address: [9, 9, 9, 9], port, wanted: 60 });
      expect(told.length).toBe(60);
      expect(told).not.toContain(`9.9.9.9:${port}`);
    }
  }
});
