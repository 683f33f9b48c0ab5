/** The self-test: a good tracker passes, and the problems of others are reported. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { makeCertificate } from "../http/openssl.ts";
import { selftest } from "../../src/verbs/selftest.ts";
import { type FakeAnswers, fakeUdp, goodAnswer } from "./fake-udp.ts";

async function run(...urls: string[]) {
  let text = "";
  const good = await selftest(urls, (written) => (text += written), 400);
  return { good, text: text.replace(/\d+ ms/g, "N ms") };
}

/** A tracker over HTTP with these answers; an announce gets the port of the one before. */
function http(announce: (port: number) => string, scrape: (infoHash: string) => string) {
  let port = 0;
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ url }) {
      const { pathname } = new URL(url);
      const told = port;
      port = Number(/port=(\d+)/.exec(url)?.[1] ?? port);
      const hash = Buffer.from(
        (/info_hash=([%0-9a-f]+)/.exec(url)?.[1] ?? "").replaceAll("%", ""),
        "hex",
      );
      const text = pathname === "/scrape" ? scrape(hash.toString("latin1")) : announce(told);
      return new Response(Buffer.from(text, "latin1"));
    },
  });
}

const compact = (port: number) => `\x7f\0\0\x01${String.fromCharCode(port >> 8, port & 255)}`;
const counts = "8:completei1e10:incompletei1e";
const announced = (port: number) => `d${counts}8:intervali1800e5:peers6:${compact(port)}e`;
const scraped = (hash: string) => `d5:filesd20:${hash}d${counts}eee`;

test("a good tracker passes", async () => {
  const server = http(announced, scraped);
  const url = `http://127.0.0.1:${server.port}/announce`;
  expect(await run(url)).toEqual({
    good: true,
    text:
      `${url}\n  IPv4 127.0.0.1: good, interval 30m, N ms\n` +
      "  note: 127.0.0.1 is not a public address: only machines near it reach it\n",
  });
  await server.stop(true);
});

test("a host beyond ASCII is looked up in its ASCII form, over UDP too", async () => {
  // Full-width letters, which are those of a name that every machine resolves.
  const host = "ｌｏｃａｌｈｏｓｔ";
  for (const url of [`http://${host}:1/announce`, `udp://${host}:1/announce`]) {
    const { text } = await run(url);
    expect(text).toContain("IPv4 127.0.0.1: not good");
    expect(text).not.toContain("its host has no address");
  }
});

test.if(makeCertificate.possible)("a self-signed certificate is reported", async () => {
  const folder = mkdtempSync(join(tmpdir(), "selftest-"));
  const { cert, key } = makeCertificate(folder, "localhost");
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: Bun.file(cert), key: Bun.file(key) },
    fetch: () => new Response("never seen"),
  });
  const { good, text } = await run(`https://127.0.0.1:${server.port}/announce`);
  expect(good).toBe(false);
  expect(text).toContain("wrong: announce: the certificate is self-signed, so clients do not");
  const said = (await run(`http://127.0.0.1:${server.port}/announce`)).text;
  expect(said).toContain("wrong: announce: the connection was closed without an answer");
  expect(said).toContain("without an answer: is the scheme of the URL right");
  await server.stop(true);
  rmSync(folder, { recursive: true });
});

test("HTTP on the port of an HTTPS URL is reported", async () => {
  const server = http(announced, scraped);
  expect((await run(`https://127.0.0.1:${server.port}/announce`)).text).toContain(
    "wrong: announce: it does not speak HTTPS on that port\n",
  );
  await server.stop(true);
});

test("a web server that is not a tracker is reported", async () => {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) =>
      new URL(url).pathname === "/" ? new Response("<html>") : new Response("", { status: 404 }),
  });
  const base = `http://127.0.0.1:${server.port}`;
  expect((await run(`${base}/announce`)).text).toContain(
    "wrong: announce: the status is 404: is that a tracker, and its path?\n",
  );
  expect((await run(`${base}/`)).text).toContain(
    "wrong: announce: the answer is not bencoded: is that a tracker, and its path?\n",
  );
  await server.stop(true);
});

describe("a problem is reported", () => {
  test.each([
    ["nonsense", "it is not a URL"],
    ["ftp://127.0.0.1/", "it is not udp, http, https, ws or wss"],
    ["udp://127.0.0.1/announce", "it names no port"],
    ["udp://127.0.0.1:0/announce", "its port is not from 1 to 65535"],
    ["http://127.0.0.1:99999/announce", "its port is not from 1 to 65535"],
  ])("%s: %s", async (url, problem) => {
    expect(await run(url)).toEqual({ good: false, text: `${url}\n  wrong: ${problem}\n` });
  });

  test.each([
    [
      "announce: the interval is 60 s: lists of trackers require 5m to 3h",
      (port: number) => announced(port).replace("i1800e", "i60e"),
    ],
    ["announce: a second peer did not get the first", () => announced(1)],
    ["announce: refused: no ??? here", () => "d14:failure reason11:no \x1b\n\xff heree"],
    ["announce: the answer is not bencoded: is that a tracker, and its path?", () => "<html>"],
    ["announce: the answer names no interval", () => "d5:peers0:e"],
    ["announce: the list of peers has a wrong length", () => "d8:intervali1800e5:peers5:abcdee"],
  ])("%s", async (problem, announce) => {
    const server = http(announce, scraped);
    const { good, text } = await run(`http://127.0.0.1:${server.port}/announce`);
    expect(good).toBe(false);
    expect(text).toContain("  IPv4 127.0.0.1: not good\n");
    expect(text).toContain(`    wrong: ${problem}\n`);
    await server.stop(true);
  });

  const unsorted = "its keys are not sorted or repeated: strict clients refuse it";
  test.each<[string, typeof announced, typeof scraped]>([
    [
      `announce: ${unsorted}`,
      (port) => announced(port).replace(/^d(8:completei1e)(10:incompletei1e)/, "d$2$1"),
      scraped,
    ],
    [`announce: ${unsorted}`, (port) => announced(port).replace(/^d/, "d8:completei9e"), scraped],
    [
      `scrape: ${unsorted}`,
      announced,
      (hash) => scraped(hash).replace(/(8:completei1e)(10:incompletei1e)/, "$2$1"),
    ],
    [
      "announce: it has no key peers, without which some clients fail",
      (port) => announced(port).replace("5:peers", "5:pears"),
      scraped,
    ],
  ])("%s", async (problem, announce, scrape) => {
    const server = http(announce, scrape);
    const { good, text } = await run(`http://127.0.0.1:${server.port}/announce`);
    expect(good).toBe(false);
    expect(text.split(`    wrong: ${problem}\n`)).toHaveLength(2);
    await server.stop(true);
  });

  test.each<[string, FakeAnswers]>([
    [
      "connect: the connection id is zero, which rtorrent takes for none",
      (action) => (action === 0 ? Buffer.alloc(8) : goodAnswer(action)),
    ],
    [
      "connect: the reply has 20 bytes, not 16: aria2 and Transmission drop it",
      (action) => (action === 0 ? Buffer.alloc(12, 7) : goodAnswer(action)),
    ],
    [
      "scrape: the reply has 32 bytes, not 20: clients take the rest for other swarms",
      (action) => (action === 2 ? Buffer.alloc(24, 1) : goodAnswer(action)),
    ],
  ])("%s", async (problem, answers) => {
    const server = await fakeUdp(answers);
    const { good, text } = await run(`udp://127.0.0.1:${server.port}`);
    expect(good).toBe(false);
    expect(text).toContain(`    wrong: ${problem}\n`);
    server.close();
  });

  test("a scrape that does not know the swarm", async () => {
    const server = http(announced, () => "d5:filesdee");
    const { text } = await run(`http://127.0.0.1:${server.port}/announce`);
    expect(text).toContain("wrong: scrape: the answer does not have the swarm\n");
    await server.stop(true);
  });

  test("UDP that forgets peers, and UDP that does not answer", async () => {
    const forgetful = await fakeUdp();
    const { good, text } = await run(`udp://127.0.0.1:${forgetful.port}`);
    expect(good).toBe(false);
    expect(text).toContain("wrong: announce: a second peer did not get the first\n");
    forgetful.close();
    const silent = await fakeUdp((action) => (action === 0 ? undefined : goodAnswer(action)));
    expect((await run(`udp://127.0.0.1:${silent.port}`)).text).toContain(
      "wrong: connect: no answer in 0.4 s: a firewall may drop it, or nothing listens there\n",
    );
    silent.close();
    expect((await run(`udp://127.0.0.1:${silent.port}`)).text).toContain(
      "wrong: connect: nothing listens there: the connection is refused\n",
    );
  });

  test("except that a tracker on this machine does not store its peers", async () => {
    const empty = (text: string) => text.replace(/8:completei1e10:incompletei1e/, "8:completei0e");
    const server = http(
      () => empty(announced(1)).replace(/5:peers6.*e$/s, "5:peers0:e"),
      (hash) => empty(scraped(hash)),
    );
    const url = `http://127.0.0.1:${server.port}/announce`;
    let text = "";
    const write = (written: string) => (text += written);
    expect(await selftest([url], write, 400, new Set(["127.0.0.1"]))).toBe(true);
    expect(text).toContain("IPv4 127.0.0.1: good, interval 30m");
    expect(text).toContain("    note: this machine has that address, and its peers are not stored");
    expect(await selftest([url], write, 400, new Set(["192.0.2.1"]))).toBe(false);
    await server.stop(true);
  });

  test("a redirect, which is not followed", async () => {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => Response.redirect("http://127.0.0.1:1/announce"),
    });
    const { text } = await run(`http://127.0.0.1:${server.port}/announce`);
    expect(text).toContain("wrong: announce: the status is 302");
    await server.stop(true);
  });

  test("one bad tracker among good ones", async () => {
    const server = http(announced, scraped);
    const url = `http://127.0.0.1:${server.port}/announce`;
    expect((await run("nonsense", url)).good).toBe(false);
    await server.stop(true);
  });
});
