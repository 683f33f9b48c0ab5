import { expect, test } from "bun:test";
import { Access, openToAll } from "../../src/access/access.ts";
import { readHashFile } from "../../src/access/hash-file.ts";
import type { Takeover } from "../../src/net/tunnel.ts";
import { atOnce, text } from "../access/fixture.ts";
import { openTracker } from "../http/fixture.ts";
import { FakeClient, FakeLine } from "./fixture.ts";
import { openSockets, upgradeRequest } from "./sockets-fixture.ts";
import { hash20 } from "./some-hashes.ts";

function join({ sockets }: ReturnType<typeof openSockets>, origin = "https://a.example") {
  const request = upgradeRequest({ headers: { Origin: origin } });
  const line = new FakeLine({ tick: 0 });
  const tunnel = (sockets.upgrade(request) as Takeover).begin(line)!;
  return new FakeClient(line, tunnel, "-WW0208-123456789012");
}

test("the figures follow connections, swarms and peers", () => {
  const opened = openSockets();
  const { sockets } = opened;
  const [a, b] = [join(opened), join(opened, "https://b.example")];
  a.announce({ left: 0 });
  b.announce({ info_hash: hash20(1) });
  const figures = () => [sockets.connections, sockets.swarms, sockets.seeders, sockets.leechers];
  expect(figures()).toEqual([2, 2, 1, 1]);
  expect(sockets.largestOrigins(20)).toEqual([
    { origin: "https://a.example", connections: 1 },
    { origin: "https://b.example", connections: 1 },
  ]);
  a.leave();
  b.leave();
  expect(figures()).toEqual([0, 0, 0, 0]);
  expect(sockets.largestOrigins(20)).toEqual([]);
});

test("a connection that ends by itself is counted once", () => {
  const opened = openSockets();
  const client = join(opened);
  client.tunnel.stop();
  expect(opened.sockets.closes.shutdown).toBe(1);
  client.leave();
  expect(opened.sockets.connections).toBe(0);
});

test("swarms that the lists refuse are removed with their peers; the others stay", () => {
  const keys = openTracker().store.memory.keys;
  const access = new Access(openToAll(keys));
  const opened = openSockets({ access, settings: { peersMax: 100_000 } });
  const client = join(opened);
  for (let i = 0; i < 600; i++) client.announce({ info_hash: hash20(i) });
  const denied = [3, 4, 599].map((i) => Buffer.from(hash20(i)).toString("hex"));
  const deny = atOnce(readHashFile(text(denied.join("\n")), keys)).list.memory;
  access.update({ ...openToAll(keys), deny });
  const work = opened.sockets.evictRefused();
  let slices = 1;
  let step = work.next();
  for (; step.done !== true; step = work.next()) slices += 1;
  expect([step.value, slices, opened.sockets.swarms]).toEqual([3, 3, 597]);
  expect(client.announce({ info_hash: hash20(3) })[0]!["failure reason"]).toBe(
    "this info hash is denied here",
  );
  expect(client.announce({ info_hash: hash20(5) })[0]!["incomplete"]).toBe(1);
});
