/** Mail to a worker that looks at a word between two batches. */
import { expect, test } from "bun:test";

import { openToAll } from "../../src/access/access.ts";
import { Mail, type WorkerMail } from "../../src/udp/mail.ts";

const update: WorkerMail = { access: openToAll(new Int32Array(40)) };

test("the word is raised once for each message, and after it was posted", () => {
  const seen: [message: unknown, word: number][] = [];
  const mail: Mail = new Mail({
    postMessage: (message: unknown) => void seen.push([message, mail.word[0]]),
  });
  void mail.send(update);
  void mail.send("stop");
  expect(seen).toEqual([
    [update, 0],
    ["stop", 1],
  ]);
  expect(mail.word[0]).toBe(2);
});

test("answers are for the messages in their order", async () => {
  const mail = new Mail({ postMessage: () => {} });
  const done: string[] = [];
  const sent = [mail.send(update).then(() => done.push("update"))];
  sent.push(mail.send("stop").then(() => done.push("stop")));
  mail.answered();
  await sent[0];
  expect(done).toEqual(["update"]);
  mail.answered();
  await sent[1];
  expect(done).toEqual(["update", "stop"]);
  mail.answered();
});
