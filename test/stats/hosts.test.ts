import { expect, test } from "bun:test";
import { AllowedHosts, HostReport, Hosts, hostsMemory } from "../../src/stats/hosts.ts";

const KEY = 0x2545f491;

test("hosts and the beginnings of paths are counted over all threads, most frequent first", () => {
  const memory = hostsMemory(2);
  const first = new Hosts(memory, 0, KEY);
  const second = new Hosts(memory, 1, KEY);
  first.noteUrl("http://Tracker.Example:6969/announce?info_hash=a/b");
  first.noteUrl("http://free.rider/SECRET/announce?info_hash=a");
  second.noteUrl("http://tracker.example:6969//announce.php");
  second.noteUrl("/announce?info_hash=1");
  const report = new HostReport(memory);
  expect(report.hosts(9)).toEqual([
    { name: "tracker.example:6969", count: 2 },
    { name: "free.rider", count: 1 },
  ]);
  expect(report.paths(9)).toEqual([
    { name: "/announce", count: 2 },
    { name: "/announce.php", count: 1 },
    { name: "/secret/", count: 1 },
  ]);
  expect(report.hosts(1)).toHaveLength(1);
});

test("a path told by UDP is counted with those of HTTP", () => {
  const memory = hostsMemory(1);
  const hosts = new Hosts(memory, 0, KEY);
  const bytes = new TextEncoder().encode("/announce?key=1");
  hosts.notePath(bytes, bytes.length);
  hosts.notePath(bytes, 4);
  hosts.noteUrl("http://x/announce");
  expect(new HostReport(memory).paths(9)).toEqual([
    { name: "/announce", count: 2 },
    { name: "/ann", count: 1 },
  ]);
});

test("a name that is too long is cut, and what cannot be seen is a question mark", () => {
  const memory = hostsMemory(1);
  const hosts = new Hosts(memory, 0, KEY);
  hosts.noteUrl(`http://${"a".repeat(100)}/x`);
  hosts.notePath(new Uint8Array([47, 0, 27, 0xff]), 4);
  const report = new HostReport(memory);
  expect(report.hosts(9)).toEqual([{ name: "a".repeat(63), count: 1 }]);
  expect(report.paths(9)).toEqual([
    { name: "/???", count: 1 },
    { name: "/x", count: 1 },
  ]);
});

test("thousands of names that come once do not push out one that comes often", () => {
  const memory = hostsMemory(1);
  const hosts = new Hosts(memory, 0, KEY);
  for (let i = 0; i < 5000; i++) {
    hosts.noteUrl(`http://h${i}.example/`);
    if (i % 10 === 0) hosts.noteUrl("http://often.example/");
  }
  expect(new HostReport(memory).hosts(1)[0]!.name).toBe("often.example");
});

test("no list of hosts allows all of them", () => {
  const hosts = new AllowedHosts([]);
  expect(hosts.all).toBe(true);
  expect(hosts.allowUrl("http://anything/announce")).toBe(true);
});

test("a list allows its hosts in any case and on any port, and no other", () => {
  const hosts = new AllowedHosts(["tracker.example", "[2001:db8::1]"]);
  for (const host of [
    "tracker.example",
    "TRACKER.example:6969",
    "tracker.example.",
    "[2001:db8::1]:80",
  ]) {
    expect([host, hosts.allowUrl(`http://${host}/announce?x=http://y/`)]).toEqual([host, true]);
  }
  for (const host of ["free.rider", "x.tracker.example", "tracker.example.free.rider", ""]) {
    expect([host, hosts.allowUrl(`http://${host}/announce?x=tracker.example`)]).toEqual([
      host,
      false,
    ]);
  }
  expect(hosts.allowUrl("/announce")).toBe(false);
});
