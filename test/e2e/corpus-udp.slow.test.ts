/**
 * The slow UDP lines of the corpus: connection ids used a minute and two minutes after issue.
 *
 * BEP 15 has the tracker accept an id until two minutes after it was sent.
 */

import { expect, test } from "bun:test";
import { startTracker } from "./harness.ts";
import { readUdpCorpus, replayUdp } from "./replay-udp.ts";

test("a connection id is still valid 115 seconds after it was issued", async () => {
  await using tracker = await startTracker();
  const slow = (await readUdpCorpus()).filter((record) => record.slow);
  const outcomes = await replayUdp(tracker.port, 4, slow);
  expect(outcomes.map(({ record, got, problems }) => [record.id, got, problems])).toEqual([
    ["cid-age-65", ["announce-response"], []],
    ["cid-age-115", ["announce-response"], []],
  ]);
}, 140_000);
