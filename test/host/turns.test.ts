import { expect, test } from "bun:test";
import { nextTurn, runInTurns, type Sliced, takeTurn } from "../../src/host/turns.ts";

/** Rounds of the event loop until it is stopped. */
function countRounds(): { count: number; stop: () => void } {
  let going = true;
  const rounds = { count: 0, stop: () => (going = false) };
  const round = (): void => {
    rounds.count += 1;
    if (going) setImmediate(round);
  };
  setImmediate(round);
  return rounds;
}

test("one turn is given in a round of the event loop, however many wait", async () => {
  const rounds = countRounds();
  const given: number[] = [];
  const workers = [1, 2, 3, 4].map(async (worker) => {
    for (let turn = 0; turn < 5; turn++) {
      await nextTurn();
      given.push(worker);
      // A round may begin with the turn or with the count.
      expect(rounds.count).toBeGreaterThanOrEqual(given.length - 1);
    }
  });
  await Promise.all(workers);
  rounds.stop();
  expect(given.slice(0, 8)).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
});

test("a turn is taken at once if no work waits", () => {
  let taken = 0;
  takeTurn(() => (taken += 1));
  expect(taken).toBe(1);
});

test("a turn comes after work that waited before it, and before later work", async () => {
  const given: string[] = [];
  const before = nextTurn().then(() => given.push("before"));
  takeTurn(() => given.push("turn"));
  const after = nextTurn().then(() => given.push("after"));
  expect(given).toEqual([]);
  await Promise.all([before, after]);
  expect(given).toEqual(["before", "turn", "after"]);
});

test("requests are answered between two turns", async () => {
  const server = Bun.listen<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket, bytes) => void socket.write(bytes) },
  });
  let asked = 0;
  let working = true;
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: {
      data(socket) {
        asked += 1;
        if (working) socket.write("x");
      },
    },
  });
  client.write("x");
  for (let turn = 0; turn < 40; turn++) {
    await nextTurn();
    for (const end = performance.now() + 1; performance.now() < end;);
  }
  working = false;
  client.end();
  server.stop(true);
  expect(asked).toBeGreaterThan(10);
});

function* busy(milliseconds: number, steps: number): Sliced<string> {
  for (let step = 0; step < steps; step++) {
    const end = performance.now() + milliseconds;
    while (performance.now() < end);
    yield;
  }
  return "done";
}

test("sliced work lets the event loop run every few milliseconds", async () => {
  const rounds = countRounds();
  expect(await runInTurns(busy(0.5, 80))).toBe("done");
  rounds.stop();
  expect(rounds.count).toBeGreaterThan(8);
});

test("sliced work that throws rejects with its error", async () => {
  function* failing(): Sliced<void> {
    yield;
    throw new Error("no room");
  }
  await expect(runInTurns(failing())).rejects.toThrow("no room");
});
