import { expect, test } from "bun:test";
import { HEAD_OK, RequestHead } from "../../src/net/head.ts";
import { AllowedHosts, HostReport, Hosts, hostsMemory } from "../../src/notes/hosts.ts";

const KEY = 0x2545f491;

/** The request for a URL, or for a path without a host. */
function headOf(url: string): RequestHead {
  const [, host, path] = /^(?:http:\/\/([^/]*))?(.*)$/.exec(url)!;
  const fields = host === undefined ? "HTTP/1.0\r\n" : `HTTP/1.1\r\nHost: ${host}\r\n`;
  const head = new RequestHead();
  expect(head.read(`GET ${path} ${fields}\r\n`, 0)).toBe(HEAD_OK);
  return head;
}

test("hosts and the beginnings of paths are counted over all threads, most frequent first", () => {
  const memory = hostsMemory(2);
  const first = new Hosts(memory, 0, KEY);
  const second = new Hosts(memory, 1, KEY);
  first.noteHead(headOf("http://Tracker.Example:6969/announce?info_hash=a/b"));
  first.noteHead(headOf("http://free.rider/SECRET/announce?info_hash=a"));
  second.noteHead(headOf("http://tracker.example:6969//announce.php"));
  second.noteHead(headOf("/announce?info_hash=1"));
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

test("a million invented names do not push out frequent names", () => {
  const memory = hostsMemory(1);
  const hosts = new Hosts(memory, 0, KEY);
  const head = (name: string) => {
    const target = { pathFrom: name.length, targetTo: name.length + 9 };
    return { text: `${name}/announce`, hostFrom: 0, hostTo: name.length, ...target } as RequestHead;
  };
  const honest = Array.from({ length: 20 }, (_, i) => `tracker${i}.example`);
  for (let i = 0; i < 40_000; i++) hosts.noteHead(head(honest[i % 20]));
  for (let i = 0; i < 1_000_000; i++) hosts.noteHead(head(`x${i}.example`));
  const listed = new HostReport(memory).hosts(20);
  expect(listed.map(({ name }) => name).sort()).toEqual(honest.sort());
  expect(listed.every(({ count }) => count === 2000)).toBe(true);
});

test("paths over UDP and HTTP are counted together", () => {
  const memory = hostsMemory(1);
  const hosts = new Hosts(memory, 0, KEY);
  const bytes = new TextEncoder().encode("/announce?key=1");
  hosts.notePath(bytes, bytes.length);
  hosts.notePath(bytes, 4);
  hosts.noteHead(headOf("http://x/announce"));
  expect(new HostReport(memory).paths(9)).toEqual([
    { name: "/announce", count: 2 },
    { name: "/ann", count: 1 },
  ]);
});

test("a long name is cut, and unprintable characters become question marks", () => {
  const memory = hostsMemory(1);
  const hosts = new Hosts(memory, 0, KEY);
  hosts.noteHead(headOf(`http://${"a".repeat(100)}/x`));
  hosts.notePath(new Uint8Array([47, 0, 27, 0xff]), 4);
  const report = new HostReport(memory);
  expect(report.hosts(9)).toEqual([{ name: "a".repeat(63), count: 1 }]);
  expect(report.paths(9)).toEqual([
    { name: "/???", count: 1 },
    { name: "/x", count: 1 },
  ]);
});

test("thousands of names that come once do not push out a frequent name", () => {
  const memory = hostsMemory(1);
  const hosts = new Hosts(memory, 0, KEY);
  for (let i = 0; i < 5000; i++) {
    hosts.noteHead(headOf(`http://h${i}.example/`));
    if (i % 10 === 0) hosts.noteHead(headOf("http://often.example/"));
  }
  expect(new HostReport(memory).hosts(1)[0]!.name).toBe("often.example");
});

test("an empty list allows every host", () => {
  const hosts = new AllowedHosts([]);
  expect(hosts.all).toBe(true);
  expect(hosts.allowHead(headOf("http://anything/announce"))).toBe(true);
});

test("a list allows its hosts in any case and on any port, and no other", () => {
  const hosts = new AllowedHosts(["tracker.example", "[2001:db8::1]"]);
  for (const host of [
    "tracker.example",
    "TRACKER.example:6969",
    "tracker.example.",
    "[2001:db8::1]:80",
  ]) {
    expect([host, hosts.allowHead(headOf(`http://${host}/announce?x=http://y/`))]).toEqual([
      host,
      true,
    ]);
  }
  for (const host of ["free.rider", "x.tracker.example", "tracker.example.free.rider", ""]) {
    expect([host, hosts.allowHead(headOf(`http://${host}/announce?x=tracker.example`))]).toEqual([
      host,
      false,
    ]);
  }
  expect(hosts.allowHead(headOf("/announce"))).toBe(false);
});
