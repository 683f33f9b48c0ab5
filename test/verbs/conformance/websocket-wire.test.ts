/** The browsers' peers of the suite: what they send, what they see, and that they leave. */
import { expect, test } from "bun:test";

import { Pace } from "../../../src/verbs/conformance/statements.ts";
import { WebSocketWire } from "../../../src/verbs/conformance/websocket-wire.ts";
import { FakeBrowserTracker } from "./fake-browser-tracker.ts";
import { HASTY } from "./tried.ts";

function wireTo(url: string): WebSocketWire {
  const { hostname, port, host, pathname } = new URL(url);
  const place = { address: hostname, port: Number(port), tls: undefined, host, target: pathname };
  return new WebSocketWire({ ...place, timeout: HASTY.answer }, HASTY, new Pace(0));
}

test("a peer that has joined says stopped when the wire leaves", async () => {
  await using fake = new FakeBrowserTracker({ keepsClosed: true });
  const wire = wireTo(fake.url);
  await wire.join({ left: 1 });
  const [swarm] = fake.swarms.values();
  expect(swarm.size).toBe(1);
  await wire.leave();
  wire.close();
  await Bun.sleep(50);
  expect(swarm.size).toBe(0);
});

test("an exchange is kept as JSON in ASCII", async () => {
  await using fake = new FakeBrowserTracker();
  const wire = wireTo(fake.url);
  await wire.join({ left: 1 });
  const [{ sent, came }] = wire.exchanges;
  expect(`${sent}${came}`).toMatch(/^[ -~]*$/);
  expect(JSON.parse(sent)).toMatchObject({ info_hash: wire.hash, left: 1 });
  expect(JSON.parse(came)).toMatchObject({ info_hash: wire.hash, interval: 120 });
  wire.close();
});

test("a server that does not upgrade is a sentence", async () => {
  await using fake = new FakeBrowserTracker({ refusesAll: true });
  const wire = wireTo(fake.url);
  const refused = wire.open();
  expect(refused).rejects.toThrow("the status is 503, not 101");
  await refused.catch(() => {});
  expect(wire.exchanges[0].came).toContain("503");
  wire.close();
});
