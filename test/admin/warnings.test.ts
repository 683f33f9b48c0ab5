/** Warnings: each problem is logged once, with its remedy, and counted. */
import { describe, expect, test } from "bun:test";

import {
  AGAIN_SECONDS,
  noTrackCommand,
  Warnings,
  type Surroundings,
} from "../../src/admin/warnings.ts";
import type { Census } from "../../src/swarm/census.ts";

const CENSUS: Census = {
  swarms: 100,
  swarmsEmpty: 10,
  seedersIpv4: 1,
  leechersIpv4: 20,
  seedersIpv6: 300,
  leechersIpv6: 4000,
  seeders: 301,
  leechers: 4020,
  peers: 4321,
  downloads: 0,
  peersExpired: 0,
  peersNotStored: [0, 5, 5, 0],
  memoryOfPages: 0,
  memoryUsed: 0,
  memoryMax: 16 * 2 ** 20,
};

/** Warnings of a machine without problems except those given, and their log lines. */
function around(other: Partial<Surroundings> & { files?: number; tracked?: boolean } = {}) {
  const told: { message: string; fields: Record<string, unknown> | undefined }[] = [];
  const { files = 65536, tracked = false, ...rest } = other;
  const warnings = new Warnings(
    { warn: (message, fields) => void told.push({ message, fields }) },
    {
      machine: {
        files: () => ({ open: 10, limit: files }),
        conntrack: () => ({ entries: 100, limit: 262144 }),
        tracksPort: (port) => tracked && port === 6969,
      },
      udpPorts: [6969],
      http: true,
      user: 1000,
      memory: { needed: 300 * 2 ** 20, swarms: 230 * 2 ** 20, limit: 1024 * 2 ** 20 },
      privateShare: () => 0.1,
      ownAnnounces: () => 0,
      memoryIsShort: () => false,
      census: () => CENSUS,
      certificateExpires: () => undefined,
      ...rest,
    },
  );
  return { warnings, told };
}

test("a machine without problems gives no warning", () => {
  const { warnings, told } = around();
  warnings.lookAtStart();
  expect(told).toEqual([]);
  expect(Object.values(warnings.counts).every((count) => count === 0)).toBe(true);
});

test("a low limit of open files is warned of where HTTP is on", () => {
  const { warnings, told } = around({ files: 1024 });
  warnings.lookAtStart();
  expect(told).toEqual([
    {
      message: "the limit of open files is low, and each HTTP connection is one",
      fields: {
        limit: "1024",
        remedy: "ulimit -n 65536, or LimitNOFILE=65536 in the unit of systemd",
      },
    },
  ]);
  expect(warnings.counts.open_files).toBe(1);
  const udpOnly = around({ files: 1024, http: false });
  udpOnly.warnings.lookAtStart();
  expect(udpOnly.told).toEqual([]);
});

test("a proxy that names no client is told of once for what it sent, and counted", () => {
  const first = around();
  first.warnings.tellProxy("x-forwarded-for", () => ["x-real-ip", "cf-connecting-ip"]);
  first.warnings.tellProxy("x-forwarded-for", () => ["x-real-ip", "cf-connecting-ip"]);
  expect(first.told).toEqual([
    {
      message: "announces are refused, because a trusted proxy does not name its clients",
      fields: {
        wanted: "x-forwarded-for",
        seen: "x-real-ip cf-connecting-ip",
        remedy:
          "TRACKER_PROXY_HEADER=x-real-ip, only if the proxy itself writes it: clients can too",
      },
    },
  ]);
  expect(first.warnings.counts.proxy_header).toBe(2);
  const remedyFor = (...seen: string[]) => {
    const { warnings, told } = around();
    warnings.tellProxy("x-real-ip", () => seen);
    return [told[0]!.fields!["seen"], String(told[0]!.fields!["remedy"]).slice(0, 21)];
  };
  expect(remedyFor()).toEqual(["none", "have the proxy send t"]);
  expect(remedyFor("x-real-ip", "forwarded")).toEqual([
    "x-real-ip forwarded",
    "have the proxy write ",
  ]);
  // A stranger can send any of these, and a proxy seldom writes one.
  expect(remedyFor("fly-client-ip", "x-client-ip")[1]).toBe("have the proxy send t");
  expect(remedyFor("fly-client-ip", "x-forwarded-for")[1]).toBe("TRACKER_PROXY_HEADER=");
});

test("other headers of a proxy that names no client are told of too, up to a bound", () => {
  const { warnings, told } = around();
  let looks = 0;
  const sends = (...seen: string[]) =>
    warnings.tellProxy("x-forwarded-for", () => {
      looks += 1;
      return seen;
    });
  sends("fly-client-ip");
  sends();
  sends("x-real-ip");
  sends();
  expect(told.map(({ fields }) => fields!["seen"])).toEqual(["fly-client-ip", "none", "x-real-ip"]);
  for (let i = 0; i < 100; i++) sends(`x-${i}`);
  expect(told).toHaveLength(8);
  expect(looks).toBe(9);
  expect(warnings.counts.proxy_header).toBe(104);
});

test("full memory gives a warning with its contents, and another one only after an hour", () => {
  let short = false;
  const { warnings, told } = around({ memoryIsShort: () => short });
  warnings.lookAtMemory(1);
  expect(told).toEqual([]);
  short = true;
  warnings.lookAtMemory(2);
  expect(told.map(({ message }) => message)).toEqual([
    "memory is full: new peers are answered but not stored",
  ]);
  expect(told[0].fields).toMatchObject({
    limit: "16MiB",
    peers: "4321",
    swarms: "100",
    swarms_without_peers: "10",
    remedy: expect.stringContaining("raise TRACKER_MEMORY_MAX"),
  });
  warnings.lookAtMemory(3);
  expect(told.length).toBe(1);
  warnings.lookAtMemory(2 + AGAIN_SECONDS);
  expect(told.length).toBe(2);
  short = false;
  warnings.lookAtMemory(2 + 2 * AGAIN_SECONDS);
  expect(told.length).toBe(2);
  expect(warnings.counts.memory_full).toBe(2);
});

test("the limit of connections is warned of at once, and again only after an hour", () => {
  const { warnings, told } = around();
  for (const seconds of [5, 5, 6, 5 + AGAIN_SECONDS - 1]) warnings.tellConnections(960, seconds);
  expect(told).toEqual([
    {
      message: "the limit of HTTP connections is reached: a new one may close another",
      fields: {
        limit: "960",
        remedy: "raise LimitNOFILE or ulimit -n, and TRACKER_HTTP_CONNECTIONS_MAX where it is set",
      },
    },
  ]);
  warnings.tellConnections(960, 5 + AGAIN_SECONDS);
  expect(warnings.counts.connections).toBe(2);
});

test("more memory than there is is warned of, with both numbers", () => {
  const MIB = 2 ** 20;
  const fits = around({ memory: { needed: 512 * MIB, swarms: 448 * MIB, limit: 512 * MIB } });
  fits.warnings.lookAtStart();
  expect(fits.told).toEqual([]);
  const { warnings, told } = around({
    memory: { needed: 1089.3 * MIB, swarms: 1024 * MIB, limit: 512 * MIB },
  });
  warnings.lookAtStart();
  expect(told).toEqual([
    {
      message: "the tracker may take more memory than there is, and would then be killed",
      fields: {
        needed: "1089MiB",
        there: "512MiB",
        remedy: "TRACKER_MEMORY_MAX of 446MiB at most",
      },
    },
  ]);
  expect(warnings.counts.memory_max).toBe(1);
  const many = around({ memory: { needed: 424 * MIB, swarms: 24 * MIB, limit: 96 * MIB } });
  many.warnings.lookAtStart();
  expect(many.told[0].fields!.remedy).toBe(
    "416MiB of memory at least, or fewer TRACKER_UDP_WORKERS",
  );
});

test("running as root is warned of", () => {
  const { warnings, told } = around({ user: 0 });
  warnings.lookAtStart();
  expect(told.map(({ fields }) => fields)).toEqual([{ remedy: "TRACKER_USER=nobody" }]);
  expect(warnings.counts.root).toBe(1);
});

test("connection tracking of our port is warned of once, with the commands that end it", () => {
  const { warnings, told } = around({ tracked: true });
  warnings.lookAtStart();
  warnings.look();
  expect(told).toHaveLength(1);
  expect(told[0].fields).toEqual({ table: "100 of 262144", remedy: noTrackCommand(6969) });
  expect(warnings.counts.conntrack).toBe(1);
  const other = around({ tracked: true, udpPorts: [7000] });
  other.warnings.lookAtStart();
  expect(other.told).toEqual([]);
});

test("the commands name the port in both directions", () => {
  const command = noTrackCommand(7000);
  expect(command).toContain("prerouting udp dport 7000 notrack");
  expect(command).toContain("output udp sport 7000 notrack");
});

test("more than a quarter of announces from one private address are warned of", () => {
  let share = 0.25;
  const { warnings, told } = around({ privateShare: () => share });
  warnings.lookAtStart();
  expect(told).toEqual([]);
  share = 0.6;
  warnings.look();
  warnings.look();
  expect(told).toHaveLength(1);
  expect(told[0].fields).toMatchObject({ share: "60%" });
  expect(warnings.counts.private_address).toBe(1);
});

test("the first client on this machine is warned of, with the setting that stores it", () => {
  let announces = 0;
  const { warnings, told } = around({ ownAnnounces: () => announces });
  warnings.lookAtStart();
  warnings.lookOften();
  expect(told).toEqual([]);
  announces = 1;
  warnings.lookOften();
  announces = 2;
  warnings.lookOften();
  expect(told).toHaveLength(1);
  expect(told[0].fields!.remedy).toStartWith("TRACKER_OWN_ADDRESSES=store");
  expect(warnings.counts.own_address).toBe(1);
});

test("a warning of another part is counted with the others, and logged once", () => {
  const { warnings, told } = around();
  warnings.tell("receive_buffer", "small", { remedy: "sysctl" });
  warnings.tell("receive_buffer", "small", { remedy: "sysctl" });
  expect(told).toEqual([{ message: "small", fields: { remedy: "sysctl" } }]);
  expect(warnings.counts.receive_buffer).toBe(1);
});

test("all refusals of the operator's address are counted, the first of each kind is logged", () => {
  const { warnings, told } = around();
  for (let i = 0; i < 5; i++) warnings.tellRefused("token");
  warnings.tellRefused("host");
  expect([warnings.counts.operator_token, warnings.counts.operator_host]).toEqual([5, 1]);
  expect(told.length).toBe(2);
});

describe("a certificate", () => {
  const DAY = 86_400;
  const NOW = 1_800_000_000;

  test("is warned of from 14 days before it expires, once a day", () => {
    let expires = NOW + 15 * DAY;
    const { warnings, told } = around({ certificateExpires: () => expires });
    warnings.lookAtCertificate(NOW);
    expect(told).toEqual([]);
    warnings.lookAtCertificate(NOW + DAY + 1);
    expect(told).toEqual([
      {
        message: "the certificate expires soon, so its renewal may have failed",
        fields: {
          expires: "2027-01-30T08:00Z",
          days_left: "13",
          remedy: "renew it, such as by certbot renew, then reload: systemctl reload buntracker",
        },
      },
    ]);
    warnings.lookAtCertificate(NOW + DAY + 7200);
    warnings.lookAtCertificate(NOW + 2 * DAY + 2);
    expect([told.length, warnings.counts.certificate]).toEqual([2, 2]);
    expires = NOW + 90 * DAY;
    warnings.lookAtCertificate(NOW + 4 * DAY);
    expect(told).toHaveLength(2);
  });

  test("that has expired is told as such", () => {
    const { warnings, told } = around({ certificateExpires: () => NOW - 1 });
    warnings.lookAtCertificate(NOW);
    expect(told[0]?.message).toBe("the certificate has expired: clients refuse HTTPS");
    expect(told[0]?.fields).toMatchObject({ days_ago: "0" });
  });
});
