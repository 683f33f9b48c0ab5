/**
 * Sockets that are kept over a restart, by a program that stands in for systemd (supervisor.py):
 * requests wait in them, and none is lost, whatever the settings of the next run are.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuSeconds } from "../bench/processes.ts";
import { makeCertificate } from "../http/openssl.ts";
import { until } from "../until.ts";
import { freePort } from "./harness.ts";
import {
  type Outcome,
  requestOverHttp,
  requestOverUdp,
  type Steadiness,
} from "./steady-requests.ts";
import { type BoundSocket, Supervisor } from "./supervisor.ts";

// A restart takes a fraction of a second, and much longer while others use the machine.
setDefaultTimeout(60_000);

const COUNT = 2000;

/** Begun so long before the restart: the requests run on behind it. */
const BEFORE_MILLISECONDS = 300;

const folder = mkdtempSync(join(tmpdir(), "buntracker-kept-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Sends requests over both transports, and does something meanwhile. */
async function outcomesDuring(
  port: number,
  action: () => Promise<unknown>,
  http: Partial<Steadiness> = {},
): Promise<Outcome[]> {
  const outcomes = [
    requestOverUdp(port, { count: COUNT, perSecond: 2000 }),
    requestOverHttp(port, { count: COUNT, perSecond: 1500, ...http }),
  ];
  await Bun.sleep(BEFORE_MILLISECONDS);
  await action();
  return await Promise.all(outcomes);
}

/** All were answered. */
function expectAll(outcomes: Outcome[]): void {
  for (const { sent, answered, failures } of outcomes) {
    expect([...new Set(failures)]).toEqual([]);
    expect(answered).toBe(sent);
  }
}

/** Sockets of the process that receive requests or are connected. */
function socketsOf(pid: number): number {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return "";
    }
  });
  return new Set(links.filter((link) => link.startsWith("socket:"))).size;
}

/** The address that answers a connect sent to `to`. */
async function answeringAddress(to: string, port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = await Bun.udpSocket({
    socket: { data: (_socket, _bytes, _port, address) => resolve(address) },
  });
  const request = Uint8Array.fromHex("0000041727101980000000000000000a");
  socket.send(request, port, to);
  const timer = setTimeout(() => reject(new Error(`no answer from ${to}`)), 5000);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

/** Both sockets of an address, as a `.socket` unit has them. */
function unitSockets(port: number, more: Partial<BoundSocket> = {}): BoundSocket[] {
  return (["udp", "tcp"] as const).map((protocol) => ({
    ...{ protocol, host: "127.0.0.1", port },
    ...more,
  }));
}

describe.if(Supervisor.possible)("over a restart", () => {
  test.each([["0"], ["1"], ["2"]])(
    "no datagram and no connection of 2,000 is lost, with %s UDP workers",
    async (workers) => {
      await using supervisor = await Supervisor.begin();
      await supervisor.start({ TRACKER_UDP_WORKERS: workers });
      const names = (await supervisor.held()).map(({ name }) => name.replace(/\d+$/, "N")).sort();
      const udp = Array<string>(Math.max(1, Number(workers))).fill("udp-127.0.0.1-N");
      expect(names).toEqual(["tcp-127.0.0.1-N", ...udp]);
      const open = socketsOf(supervisor.pid);
      expectAll(await outcomesDuring(supervisor.port, () => supervisor.restart()));
      // The same ones are stored again, and none is left open beside them.
      expect(await supervisor.held()).toHaveLength(names.length);
      await until(() => socketsOf(supervisor.pid) === open);
    },
  );

  test("nor with HTTP workers, when their number changes, up, down, and to none", async () => {
    await using supervisor = await Supervisor.begin();
    await supervisor.start({ TRACKER_HTTP_WORKERS: "1" });
    let most = 1;
    for (const workers of [1, 2, 3, 0, 1, 2, 2]) {
      const restart = () => supervisor.restart({ TRACKER_HTTP_WORKERS: String(workers) });
      expectAll(await outcomesDuring(supervisor.port, restart));
      // No socket of HTTP is given up, since connections may wait in it: two may be of one thread.
      most = Math.max(most, workers);
      expect(await supervisor.held()).toHaveLength(1 + most);
    }
  });

  test("nor when the number of UDP workers changes, up, down, and to none", async () => {
    await using supervisor = await Supervisor.begin();
    await supervisor.start({ TRACKER_UDP_WORKERS: "1" });
    for (const workers of [2, 1, 3, 0, 2, 0, 1]) {
      const restart = () => supervisor.restart({ TRACKER_UDP_WORKERS: String(workers) });
      expectAll(await outcomesDuring(supervisor.port, restart));
      expect(await supervisor.held()).toHaveLength(Math.max(1, workers) + 1);
    }
  });

  test.if(makeCertificate.possible)(
    "nor over HTTPS, where a handshake may have begun",
    async () => {
      const { cert, key } = makeCertificate(folder, "kept.example");
      await using supervisor = await Supervisor.begin();
      await supervisor.start({ TRACKER_TLS_CERT_FILE: cert, TRACKER_TLS_KEY_FILE: key });
      const secure = { tls: true, count: 1000, perSecond: 500 };
      const restart = () => supervisor.restart();
      expectAll(await outcomesDuring(supervisor.port, restart, secure));
      // A new certificate needs a new listener, on a socket that is older than the process.
      const reload = async () => {
        process.kill(supervisor.pid, "SIGHUP");
        await until(() => supervisor.log.includes("msg=reloaded"));
      };
      expectAll(await outcomesDuring(supervisor.port, reload, secure));
      expectAll(await outcomesDuring(supervisor.port, restart, secure));
    },
  );

  test("it gets back what it had after a crash, and answers what came in between", async () => {
    await using supervisor = await Supervisor.begin();
    await supervisor.start();
    const crash = Promise.withResolvers<void>();
    const requests = { count: 500, perSecond: 10_000, after: crash.promise };
    const waiting = Promise.all([
      requestOverUdp(supervisor.port, requests),
      requestOverHttp(supervisor.port, requests),
    ]);
    await Bun.sleep(BEFORE_MILLISECONDS);
    expect(await supervisor.end(9)).toBe(-9);
    crash.resolve();
    await Bun.sleep(BEFORE_MILLISECONDS);
    await supervisor.start();
    expectAll(await waiting);
  });

  test("the operator's address is kept, too: nobody who asks there is refused", async () => {
    const port = freePort();
    await using supervisor = await Supervisor.begin();
    await supervisor.start({ TRACKER_ADMIN_ADDRESS: `127.0.0.1:${port}` });
    const asking = requestOverHttp(port, { count: 400, perSecond: 400, target: "/health" });
    await Bun.sleep(BEFORE_MILLISECONDS);
    await supervisor.restart();
    expect(new Set((await asking).failures)).toEqual(new Set());
  });

  test("what the kernel dropped in the last run does not count again", async () => {
    const admin = freePort();
    await using supervisor = await Supervisor.begin();
    const { port } = supervisor;
    const drops = async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
      return Number(/^tracker_udp_receive_drops_total (\d+)$/m.exec(metrics)?.[1]);
    };
    const env = { TRACKER_UDP_RECEIVE_BUFFER: "64KiB", TRACKER_UDP_WORKERS: "1" };
    await supervisor.start({ ...env, TRACKER_ADMIN_ADDRESS: `127.0.0.1:${admin}` });
    process.kill(supervisor.pid, "SIGSTOP");
    const client = await Bun.udpSocket({});
    for (let sent = 0; sent < 1000; sent++) client.send("x".repeat(98), port, "127.0.0.1");
    client.close();
    process.kill(supervisor.pid, "SIGCONT");
    expect(await drops()).toBeGreaterThan(100);
    await supervisor.restart();
    expect(await drops()).toBe(0);
  });

  test("systemd does not look for errors on the sockets, or it would drop them", async () => {
    await using supervisor = await Supervisor.begin();
    await supervisor.start();
    const stored = (await supervisor.messages()).filter(({ descriptors }) => descriptors > 0);
    expect(stored).toHaveLength(2);
    for (const { text } of stored) {
      expect(text).toMatch(/^FDSTORE=1\nFDNAME=(udp|tcp)-[^:]*\nFDPOLL=0$/);
    }
  });

  test("replies leave from the address that was asked, whoever had the socket before", async () => {
    await using supervisor = await Supervisor.begin();
    const env = { TRACKER_UDP_ADDRESS: `[::]:${supervisor.port}` };
    await supervisor.start({ ...env, TRACKER_UDP_WORKERS: "0" });
    for (const workers of ["1", "0", "2", "0", "1"]) {
      await supervisor.restart({ TRACKER_UDP_WORKERS: workers });
      if (workers === "0") continue;
      for (const address of ["127.0.0.1", "127.0.0.5"]) {
        expect(await answeringAddress(address, supervisor.port)).toBe(address);
      }
    }
  });
});

describe.if(Supervisor.possible)("an address that changes", () => {
  test("is bound, although the old one overlaps it and was kept", async () => {
    await using supervisor = await Supervisor.begin();
    const { port } = supervisor;
    const all = { TRACKER_UDP_ADDRESS: `[::]:${port}`, TRACKER_HTTP_ADDRESS: `[::]:${port}` };
    await supervisor.start();
    await supervisor.restart(all);
    expect((await supervisor.held()).map(({ at }) => at)).toEqual([`:::${port}`, `:::${port}`]);
    expect(supervisor.log).toContain("a socket of the last run is closed");
    expectAll(await outcomesDuring(port, () => supervisor.restart()));
  });

  test("leaves nothing open: not here, not in the store", async () => {
    await using supervisor = await Supervisor.begin();
    await supervisor.start({ TRACKER_UDP_WORKERS: "2" });
    const open = socketsOf(supervisor.pid);
    const next = `127.0.0.1:${freePort()}`;
    await supervisor.restart({ TRACKER_UDP_ADDRESS: next, TRACKER_UDP_WORKERS: "1" });
    expect((await supervisor.held()).map(({ at }) => at).sort()).toEqual(
      [next, `127.0.0.1:${supervisor.port}`].sort(),
    );
    await until(() => socketsOf(supervisor.pid) === open - 1);
  });
});

describe.if(Supervisor.possible)("a connected UDP socket in the store", () => {
  test.each([["0"], ["1"], ["2"]])("is replaced, with %s UDP workers", async (workers) => {
    await using supervisor = await Supervisor.begin();
    const { port } = supervisor;
    const [udp] = unitSockets(port, { name: `udp-127.0.0.1-${port}`, stored: true, shared: true });
    await supervisor.bind({ ...udp!, deaf: true });
    await supervisor.bind(udp!);
    await supervisor.start({ TRACKER_UDP_WORKERS: workers });
    expect(supervisor.log).toContain("because it is connected");
    expect(await supervisor.held()).toHaveLength(Math.max(1, Number(workers)) + 1);
    const before = cpuSeconds(supervisor.pid);
    await Bun.sleep(1000);
    expect(cpuSeconds(supervisor.pid) - before).toBeLessThan(0.4);
    expectAll(await outcomesDuring(port, () => supervisor.restart()));
  });
});

describe.if(Supervisor.possible)("sockets of a `.socket` unit", () => {
  test.each([
    ["do not wait, as usual", false],
    ["wait", true],
  ])(
    "that %s are answered by 1 and by 0 workers, without keeping a processor busy",
    async (_how, blocking) => {
      await using supervisor = await Supervisor.begin();
      for (const socket of unitSockets(supervisor.port, { blocking }))
        await supervisor.bind(socket);
      await supervisor.start({ TRACKER_UDP_WORKERS: "1" });
      for (const workers of ["0", "1"]) {
        const restart = () => supervisor.restart({ TRACKER_UDP_WORKERS: workers });
        expectAll(await outcomesDuring(supervisor.port, restart));
      }
      const before = cpuSeconds(supervisor.pid);
      await Bun.sleep(1000);
      expect(cpuSeconds(supervisor.pid) - before).toBeLessThan(0.5);
      // systemd holds them anyway, so they are not stored as well.
      expect(await supervisor.held()).toHaveLength(2);
    },
  );

  test("may add data to each datagram, which is turned off: no reply could carry it", async () => {
    await using supervisor = await Supervisor.begin();
    const [udp] = unitSockets(supervisor.port, { host: "::", timestamps: true });
    await supervisor.bind(udp!);
    await supervisor.start({ TRACKER_UDP_ADDRESS: `[::]:${supervisor.port}` });
    expect(await answeringAddress("127.0.0.5", supervisor.port)).toBe("127.0.0.5");
  });

  test("may be too few: the others are bound", async () => {
    await using supervisor = await Supervisor.begin();
    const [udp] = unitSockets(supervisor.port);
    await supervisor.bind(udp!);
    await supervisor.start({ TRACKER_UDP_WORKERS: "3" });
    expect(await supervisor.held()).toHaveLength(1 + 2 + 1);
    expectAll(await outcomesDuring(supervisor.port, () => supervisor.restart()));
  });

  test("may be too many: a warning names each, and the others are answered", async () => {
    await using supervisor = await Supervisor.begin();
    const other = freePort();
    for (const port of [supervisor.port, other]) {
      for (const socket of unitSockets(port)) await supervisor.bind(socket);
    }
    await supervisor.start();
    for (const at of [`udp 127.0.0.1:${other}`, `tcp 127.0.0.1:${other}`]) {
      expect(supervisor.log).toContain(`not need" at="${at}" remedy="take it out of its unit`);
    }
    expectAll(await outcomesDuring(supervisor.port, () => supervisor.restart()));
  });

  test("that share a port serve one worker each", async () => {
    await using supervisor = await Supervisor.begin();
    const [udp, tcp] = unitSockets(supervisor.port, { shared: true });
    for (const socket of [udp!, udp!, tcp!, tcp!]) await supervisor.bind(socket);
    await supervisor.start({ TRACKER_UDP_WORKERS: "2" });
    expect(await supervisor.held()).toHaveLength(4);
    expectAll(await outcomesDuring(supervisor.port, () => supervisor.restart()));
  });

  test.if(process.getuid?.() === 0)("of another user serve two workers together", async () => {
    await using supervisor = await Supervisor.begin();
    const [udp] = unitSockets(supervisor.port, { user: 65_534 });
    await supervisor.bind(udp!);
    await supervisor.start({ TRACKER_UDP_WORKERS: "2" });
    expectAll(await outcomesDuring(supervisor.port, () => supervisor.restart()));
  });

  test("for IPv6 alone are not taken for those of all addresses", async () => {
    await using supervisor = await Supervisor.begin();
    const { port } = supervisor;
    for (const socket of unitSockets(port, { host: "::", only: true }))
      await supervisor.bind(socket);
    const env = { TRACKER_UDP_ADDRESS: `[::]:${port}`, TRACKER_HTTP_ADDRESS: `[::]:${port}` };
    await expect(supervisor.start(env)).rejects.toThrow('not need" at="udp [::]:');
  });
});
