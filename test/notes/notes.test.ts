import { expect, test } from "bun:test";
import { RequestHead } from "../../src/net/head.ts";
import { HostReport } from "../../src/notes/hosts.ts";
import { Notes, notesMemory } from "../../src/notes/notes.ts";
import { Tallies } from "../../src/notes/tally.ts";
import { AnnounceReply, AnnounceRequest } from "../../src/swarm/requests.ts";

test("the notes of all threads are added up", () => {
  const shared = notesMemory(2, { tickSeconds: 45, minimumSeconds: 900 });
  const [first, second] = [new Notes(shared, 0), new Notes(shared, 1)];
  const request = new AnnounceRequest();
  request.wanted = 7;
  first.noteAnnounce(request, new AnnounceReply());
  second.noteAnnounce(request, new AnnounceReply());
  const head = new RequestHead();
  head.read("GET /announce HTTP/1.1\r\nHost: a.example\r\n\r\n", 0);
  first.noteHead(head);
  second.notePath(new TextEncoder().encode("/announce"), 9);
  expect(new Tallies(shared.tally).wanted()[7]).toBe(2);
  expect(new HostReport(shared.hosts).paths(1)).toEqual([{ name: "/announce", count: 2 }]);
  expect(new HostReport(shared.hosts).hosts(9)).toEqual([{ name: "a.example", count: 1 }]);
});

test("the key differs from start to start", () => {
  const settings = { tickSeconds: 45, minimumSeconds: 900 };
  const keys = new Set(Array.from({ length: 8 }, () => notesMemory(1, settings).hostsKey));
  expect(keys.size).toBeGreaterThan(1);
});
