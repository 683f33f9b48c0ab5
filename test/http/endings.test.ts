import { expect, test } from "bun:test";
import { Connection } from "../../src/http/connection.ts";
import { Endings } from "../../src/http/endings.ts";
import { fakeSocket } from "./fake-socket.ts";

/** Connections whose sockets note when they are ended. */
function connected(count: number) {
  const ended: number[] = [];
  const all = Array.from({ length: count }, (_, i) => {
    return new Connection(fakeSocket({ end: () => void ended.push(i) }));
  });
  const turns: (() => void)[] = [];
  const endings = new Endings((call) => void turns.push(call));
  const turn = () => turns.splice(0).forEach((call) => call());
  return { all, ended, endings, turns, turn };
}

test("a few connections are ended at once", () => {
  const { all, ended, endings, turns, turn } = connected(3);
  all.forEach((connection) => endings.add(connection));
  expect(ended).toEqual([0, 1, 2]);
  turn();
  expect(turns).toEqual([]);
});

test("of many, 64 are ended in each turn of the event loop, in their order", () => {
  const { all, ended, endings, turns, turn } = connected(200);
  all.slice(0, 150).forEach((connection) => endings.add(connection));
  expect(ended.length).toBe(64);
  turn();
  expect(ended.length).toBe(128);
  all.slice(150).forEach((connection) => endings.add(connection));
  expect(ended.length).toBe(128);
  while (turns.length > 0) turn();
  expect(ended).toEqual(all.map((_, i) => i));
  endings.add(all[0]!);
  expect(ended.length).toBe(201);
});

test("one that has gone meanwhile is left alone", () => {
  const { all, ended, endings, turns, turn } = connected(100);
  all.forEach((connection) => endings.add(connection));
  all[99]!.noteGone();
  while (turns.length > 0) turn();
  expect(ended).toEqual(Array.from({ length: 99 }, (_, i) => i));
});
