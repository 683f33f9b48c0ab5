/** Messages to a worker that compares a counter between two batches. */
import { expect, test } from "bun:test";

import { openToAll } from "../../src/access/access.ts";
import { type WorkerMessage, WorkerMessages } from "../../src/udp/messages.ts";

const update: WorkerMessage = { access: openToAll(new Int32Array(40)) };

test("the counter is incremented once for each message, after the message was posted", () => {
  const seen: [message: unknown, word: number][] = [];
  const messages: WorkerMessages = new WorkerMessages({
    postMessage: (message: unknown) => void seen.push([message, messages.sent[0]]),
  });
  void messages.send(update);
  void messages.send("stop");
  expect(seen).toEqual([
    [update, 0],
    ["stop", 1],
  ]);
  expect(messages.sent[0]).toBe(2);
});

test("answers belong to the messages in their order", async () => {
  const messages = new WorkerMessages({ postMessage: () => {} });
  const done: string[] = [];
  const sent = [messages.send(update).then(() => done.push("update"))];
  sent.push(messages.send("stop").then(() => done.push("stop")));
  messages.answered();
  await sent[0];
  expect(done).toEqual(["update"]);
  messages.answered();
  await sent[1];
  expect(done).toEqual(["update", "stop"]);
  messages.answered();
});
