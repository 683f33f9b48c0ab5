import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  AnnounceExtras,
  announceBytesMax,
  failureBody,
  scrapeBytesMax,
  WARNING_SIZE_MAX,
  writeAnnounce,
  writeScraped,
  writeScrapeEnd,
  writeScrapeStart,
} from "../../src/net/bencode.ts";
import { AnnounceReply, AnnounceRequest } from "../../src/swarm/requests.ts";
import { decodeDictionary } from "../e2e/bencode.ts";

type Case = {
  counts?: [seeders: number, leechers: number, downloads: number];
  peersIpv4?: string;
  peersIpv6?: string;
  client?: string;
  compact?: boolean;
  warning?: string;
};

/** The bytes of an announce reply, as latin1 text. */
function written(given: Case): string {
  const request = new AnnounceRequest();
  const reply = new AnnounceReply();
  [reply.seeders, reply.leechers, reply.downloads] = given.counts ?? [0, 0, 0];
  const peersIpv4 = Uint8Array.fromHex(given.peersIpv4 ?? "");
  const peersIpv6 = Uint8Array.fromHex(given.peersIpv6 ?? "");
  const replies = Buffer.alloc(peersIpv4.length + peersIpv6.length + 8);
  request.offsetIpv4 = 2;
  request.offsetIpv6 = 4 + peersIpv4.length;
  replies.set(peersIpv4, request.offsetIpv4);
  replies.set(peersIpv6, request.offsetIpv6);
  reply.peersIpv4 = peersIpv4.length / 6;
  reply.peersIpv6 = peersIpv6.length / 18;
  const client = Uint8Array.fromHex(given.client ?? "c0000201");
  const extras = new AnnounceExtras(client);
  extras.family = client.length === 4 ? 4 : 6;
  extras.intervalSeconds = 1800;
  extras.minIntervalSeconds = 900;
  extras.compact = given.compact ?? true;
  extras.warning = given.warning ?? "";
  const out = new Uint8Array(announceBytesMax(reply.peersIpv4 + reply.peersIpv6));
  const size = writeAnnounce(out, request, reply, replies, extras);
  expect(size).toBeLessThanOrEqual(out.length);
  return Buffer.from(out.subarray(0, size)).toString("latin1");
}

test("an empty announce reply to IPv4 has empty peers and no peers6", () => {
  expect(written({})).toBe(
    "d8:completei0e10:downloadedi0e11:external ip4:\xc0\x00\x02\x0110:incompletei0e" +
      "8:intervali1800e12:min intervali900e5:peers0:e",
  );
});

test("an announce reply with peers of both families and a warning has its keys in order", () => {
  const reply = written({
    counts: [10, 999, 1000000],
    peersIpv4: "010203041ae1" + "05060708ffff",
    peersIpv6: "20010db80000000000000000000000011ae1",
    warning: "full",
  });
  expect(reply).toBe(
    "d8:completei10e10:downloadedi1000000e11:external ip4:\xc0\x00\x02\x0110:incompletei999e" +
      "8:intervali1800e12:min intervali900e5:peers12:" +
      "\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\xff\xff" +
      "6:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe115:warning message4:fulle",
  );
});

test("a client over IPv6 gets its 16 bytes, and peers6 even if it is empty", () => {
  expect(written({ client: "20010db8000000000000000000000001" })).toBe(
    "d8:completei0e10:downloadedi0e11:external ip16:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" +
      "10:incompletei0e8:intervali1800e12:min intervali900e5:peers0:6:peers60:e",
  );
});

test("the list form has peers of both families as text, without peer ids", () => {
  const reply = written({
    compact: false,
    peersIpv4: "010203041ae1",
    peersIpv6: "20010db80000000000000000000000010050",
  });
  expect(reply).toEndWith(
    "12:min intervali900e5:peersld2:ip7:1.2.3.44:porti6881eed2:ip11:2001:db8::14:porti80eeee",
  );
});

test("the list form of no peers is an empty list", () => {
  expect(written({ compact: false })).toEndWith("5:peerslee");
});

test("every announce reply decodes strictly to its input, and fits its size limit", () => {
  const count = fc.oneof(fc.nat(12), fc.maxSafeNat());
  const peers = (size: number) =>
    fc.nat(4).chain((n) => fc.uint8Array({ minLength: n * size, maxLength: n * size }));
  fc.assert(
    fc.property(
      fc.tuple(count, count, count),
      peers(6),
      peers(18),
      fc.boolean(),
      fc.nat(WARNING_SIZE_MAX),
      (counts, peersIpv4, peersIpv6, compact, warningSize) => {
        const warning = "w".repeat(warningSize);
        const given = { counts, compact, warning, client: "ff".repeat(16) };
        const text = written({
          ...given,
          peersIpv4: peersIpv4.toHex(),
          peersIpv6: peersIpv6.toHex(),
        });
        const reply = decodeDictionary(Buffer.from(text, "latin1"));
        expect([reply["complete"], reply["incomplete"], reply["downloaded"]]).toEqual(counts);
        expect(reply["warning message"] ?? "").toBe(warning);
        const peersRead = reply["peers"] as string | unknown[];
        const expected = compact ? peersIpv4.length : peersIpv4.length / 6 + peersIpv6.length / 18;
        expect(peersRead.length).toBe(expected);
      },
    ),
  );
});

test("a failure that passes gives the time as intervals too, one for good gives none", () => {
  const text = (body: Uint8Array) => Buffer.from(body).toString("latin1");
  expect(text(failureBody("no", ""))).toBe("d14:failure reason2:noe");
  expect(text(failureBody("no", "5"))).toBe(
    "d14:failure reason2:no8:intervali300e12:min intervali300e8:retry in1:5e",
  );
  expect(text(failureBody("no", "never"))).toBe("d14:failure reason2:no8:retry in5:nevere");
});

test("a scrape reply has its swarms and the minimum interval", () => {
  const out = new Uint8Array(scrapeBytesMax(2));
  const hashes = Buffer.from("a".repeat(20) + "b".repeat(20));
  const reply = new AnnounceReply();
  let at = writeScrapeStart(out);
  [reply.seeders, reply.leechers, reply.downloads] = [1, 2, 3];
  at = writeScraped(out, at, hashes, 0, reply);
  [reply.seeders, reply.leechers, reply.downloads] = [0, 0, 0];
  at = writeScraped(out, at, hashes, 20, reply);
  const text = Buffer.from(out.subarray(0, writeScrapeEnd(out, at, 900))).toString("latin1");
  expect(text).toBe(
    "d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1e10:downloadedi3e10:incompletei2ee" +
      "20:bbbbbbbbbbbbbbbbbbbbd8:completei0e10:downloadedi0e10:incompletei0eee" +
      "5:flagsd20:min_request_intervali900eee",
  );
});

test("a scrape reply of the largest counts fits its size limit", () => {
  const out = new Uint8Array(scrapeBytesMax(1));
  const reply = new AnnounceReply();
  reply.seeders = reply.leechers = reply.downloads = Number.MAX_SAFE_INTEGER;
  const at = writeScraped(out, writeScrapeStart(out), new Uint8Array(20), 0, reply);
  const size = writeScrapeEnd(out, at, Number.MAX_SAFE_INTEGER);
  expect(size).toBeLessThanOrEqual(out.length);
  expect(decodeDictionary(out.subarray(0, size))["flags"]).toEqual({
    min_request_interval: Number.MAX_SAFE_INTEGER,
  });
});

test("a count of any size is written as a decimal number", () => {
  const counts = [0, Number.MAX_SAFE_INTEGER];
  for (let power = 1; power <= Number.MAX_SAFE_INTEGER; power *= 10) counts.push(power - 1, power);
  for (let power = 2; power < 2 ** 53; power *= 2) counts.push(power - 1, power, power + 1);
  for (const count of counts) {
    const text = written({ counts: [count, count, count] });
    expect(text).toStartWith(`d8:completei${count}e10:downloadedi${count}e11:external ip4:`);
    expect(text).toContain(`10:incompletei${count}e8:interval`);
  }
});

test("a reply contains all peers byte for byte, for every number of peers", () => {
  for (const count of [0, 1, 2, 9, 16, 17, 50, 200]) {
    const bytes = (size: number) => Buffer.from(Array.from({ length: size }, (_, i) => i * 7));
    const [ipv4, ipv6] = [bytes(count * 6), bytes(count * 18)];
    const text = written({ peersIpv4: ipv4.toString("hex"), peersIpv6: ipv6.toString("hex") });
    const [peers, peers6] = [ipv4, ipv6].map((peer) => `${peer.length}:${peer.toString("latin1")}`);
    expect(text).toEndWith(`5:peers${peers}${count > 0 ? `6:peers6${peers6}` : ""}e`);
  }
});
