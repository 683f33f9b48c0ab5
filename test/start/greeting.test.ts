/** The report at the start, one log event for each line. */
import { expect, test } from "bun:test";

import { readConfig } from "../../src/config/config.ts";
import { tellStarted } from "../../src/start/greeting.ts";
import { Log } from "../../src/host/log.ts";

function told(
  env: Record<string, string>,
  receiveBufferBytes: number,
  addresses: readonly string[] = [],
): string[] {
  const result = readConfig(env);
  if ("problems" in result) throw new Error(result.problems.join("\n"));
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line.trimEnd());
  const log = new Log({ level: "info", format: "logfmt", journal: true, write });
  const { config } = result;
  const warnings = {
    tell: (_kind: string, text: string, fields: object) => log.warn(text, { ...fields }, null),
  };
  const { adminListeners: admin } = config;
  const threads = 2 * config.udpWorkers;
  const started = {
    config,
    log,
    warnings,
    libc: {},
    threads,
    httpThreads: config.httpWorkers,
    watched: false,
    admin,
    addresses,
  };
  tellStarted({ ...started, receiveBufferBytes });
  return lines.slice(1);
}

test("the addresses and the interval are logged", () => {
  expect(told({ TRACKER_MEMORY_MAX: "64MiB" }, 4_194_304)).toEqual([
    '<6>level=info msg="listening for UDP" at=udp://[::]:6969 threads=2 receiveBuffer=4MiB',
    '<6>level=info msg="listening for HTTP" at=http://[::]:6969',
    '<6>level=info msg="listening for the operator" at=http://127.0.0.1:6970 ' +
      "metrics=http://127.0.0.1:6970/metrics",
    "<6>level=info msg=ready interval=30m memory=64MiB",
  ]);
});

test("without an operator's address there is no line about it", () => {
  const lines = told({ TRACKER_ADMIN_ADDRESS: "" }, 4_194_304);
  expect(lines.filter((line) => line.includes("operator"))).toEqual([]);
});

test("a smaller receive buffer is a warning with the remedy", () => {
  expect(told({}, 212_992).at(-1)).toBe(
    '<4>level=warn msg="the system limits the UDP receive buffer, so bursts may be dropped" ' +
      'granted=208KiB remedy="sysctl -w net.core.rmem_max=4194304"',
  );
});

test("believing the addresses that clients claim is a warning", () => {
  const warned = (value: string): string[] =>
    told({ TRACKER_ALLOW_IP_PARAMETER: value }, 4_194_304).filter((line) => line.includes("=warn"));
  expect(warned("no")).toEqual([]);
  expect(warned("yes")).toEqual([
    '<4>level=warn msg="clients may announce addresses that are not theirs: a stranger can list ' +
      'peers that do not exist, and have clients connect to machines that never asked" ' +
      'remedy="TRACKER_ALLOW_IP_PARAMETER=no, unless the tracker cannot see the addresses of ' +
      'clients"',
  ]);
});

test("trusting everybody is a warning, trusting the networks of a company is none", () => {
  const warned = (value: string): string[] =>
    told({ TRACKER_TRUSTED_PROXIES: value }, 4_194_304).filter((line) => line.includes("=warn"));
  for (const some of ["127.0.0.1", "10.0.0.0/8,fc00::/7", "172.64.0.0/13,2400:cb00::/32"]) {
    expect(warned(some)).toEqual([]);
  }
  expect(warned("10.0.0.1,0.0.0.0/0,::/0")).toEqual([
    '<4>level=warn msg="everybody is a trusted proxy: any client may announce any address by a ' +
      'header" networks=0.0.0.0/0,::/0 ' +
      'remedy="name the networks of your proxies in TRACKER_TRUSTED_PROXIES"',
  ]);
  for (const half of ["0.0.0.0/1,128.0.0.0/1", "2000::/3", "::ffff:0:0/96", "::ffff:0.0.0.0/99"]) {
    expect(warned(half)).toHaveLength(1);
  }
  expect(warned("::ffff:10.0.0.0/104")).toEqual([]);
});

test("the largest possible buffer is no warning", () => {
  const lines = told({ TRACKER_UDP_RECEIVE_BUFFER: "1GiB" }, 2 ** 30 - 1);
  expect(lines.filter((line) => line.includes("rmem_max"))).toEqual([]);
});

test("replies that may leave from another address are a warning", () => {
  const one = ["192.0.2.1", "2001:db8::1", "fe80::1%eth0", "fe80::2"];
  const warned = (addresses: readonly string[], env: Record<string, string> = {}): string[] =>
    told({ TRACKER_UDP_WORKERS: "0", ...env }, Infinity, addresses).filter((line) =>
      line.includes("routing"),
    );
  expect(warned(one)).toEqual([]);
  expect(warned([...one, "192.0.2.2"])).toEqual([
    '<4>level=warn msg="in the event loop, UDP replies have the address that routing picks" ' +
      'addresses=3 remedy="name each of this machine\'s addresses in TRACKER_UDP_ADDRESS"',
  ]);
  expect(warned([...one, "2001:db8::2"])).toHaveLength(1);
  expect(warned([...one, "192.0.2.2"], { TRACKER_UDP_WORKERS: "1" })).toEqual([]);
  const at = (host: string) => ({ TRACKER_UDP_ADDRESS: `${host}:6969` });
  expect(warned([...one, "2001:db8::2"], at("0.0.0.0"))).toEqual([]);
  expect(warned([...one, "192.0.2.2"], at("0.0.0.0"))).toHaveLength(1);
  expect(warned([...one, "192.0.2.2"], at("192.0.2.1"))).toEqual([]);
});
