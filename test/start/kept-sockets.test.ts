/** Which inherited sockets are used, closed and stored; the sockets themselves are in test/e2e. */
import { expect, test } from "bun:test";
import type { InheritedSocket } from "../../src/host/inherited.ts";
import { countSockets, KeptSockets } from "../../src/start/kept-sockets.ts";

const at = (port: number, host = "127.0.0.1") => ({ host, port, tls: undefined });
const CONFIG = {
  udpListeners: [at(1)],
  udpWorkers: 1,
  httpWorkers: 0,
  httpListeners: [at(1)],
  adminListeners: [at(2)],
};

/** What was done with these sockets under these settings. */
function keep(
  inherited: Partial<InheritedSocket>[],
  settings: Partial<typeof CONFIG> = {},
  size = Infinity,
  heard = true,
) {
  const done: string[] = [];
  const kept = new KeptSockets(
    {
      config: { ...CONFIG, ...settings },
      log: {
        info: (message, fields) => void done.push(`info: ${message} ${JSON.stringify(fields)}`),
        warn: (message, fields) => void done.push(`warn: ${message} ${JSON.stringify(fields)}`),
      },
      notifier: {
        store: (name, fds) => done.push(`store ${name} ${fds}`) > 0,
        forget: (name) => done.push(`forget ${name}`) > 0 && heard,
        barrier: () => void done.push("barrier"),
      },
    },
    size,
  );
  kept.sort(
    inherited.map((socket, index) => ({
      ...{ protocol: "udp", at: "127.0.0.1:1", fd: 3 + index, inode: index, flaw: "" },
      ...{ name: `${socket.protocol ?? "udp"}-127.0.0.1-1` },
      ...socket,
    })),
    {
      close: (fd) => void done.push(`close ${fd}`),
      takeNoMore: (fd) => void done.push(`take no more ${fd}`),
    },
    ({ host, port }) => {
      if (host.includes("%nope")) throw new Error("no such interface");
      return `${host}:${port}`;
    },
  );
  return { kept, done };
}

test("an address takes the sockets of its protocol, once", () => {
  const { kept, done } = keep([{ protocol: "tcp" }, {}]);
  expect(kept.take("udp", at(1))).toEqual({ sockets: [4], surplus: [] });
  expect(kept.take("udp", at(1))).toEqual({ sockets: [], surplus: [] });
  expect(kept.take("tcp", at(2))).toEqual({ sockets: [], surplus: [] });
  expect(kept.take("tcp", at(1))).toEqual({ sockets: [3], surplus: [] });
  expect(done).toEqual(['info: sockets were open before the start {"sockets":2}']);
});

test("UDP sockets beyond the threads are surplus, and leave the store before any is bound", () => {
  for (const udpWorkers of [0, 1]) {
    const { kept, done } = keep([{}, {}, {}], { udpWorkers });
    expect(kept.take("udp", at(1))).toEqual({ sockets: [3], surplus: [4, 5] });
    expect(done.filter((text) => !text.startsWith("info"))).toEqual([
      "take no more 4",
      "take no more 5",
      "forget udp-127.0.0.1-1",
      "barrier",
    ]);
  }
  expect(keep([{}, {}, {}], { udpWorkers: 3 }).kept.take("udp", at(1)).sockets).toEqual([3, 4, 5]);
});

test("all sockets for connections are used: what waits in one of them would be reset", () => {
  const { kept } = keep([{ protocol: "tcp" }, { protocol: "tcp" }]);
  expect(kept.take("tcp", at(1))).toEqual({ sockets: [3, 4], surplus: [] });
});

test("a socket of the last run that no setting names is closed, and leaves the store", () => {
  const { kept, done } = keep([{ at: "127.0.0.1:9", name: "udp-127.0.0.1-9" }]);
  expect(kept.take("udp", at(1)).sockets).toEqual([]);
  expect(done).toEqual([
    expect.stringMatching(/^info: a socket of the last run is closed.* {"at":"udp 127.0.0.1:9"}$/),
    "close 3",
    expect.stringMatching(/^info: sockets were open/),
    "forget udp-127.0.0.1-9",
    "barrier",
  ]);
});

test("a connected UDP socket is closed and leaves the store: it would answer nobody", () => {
  const { kept, done } = keep([{ flaw: "is connected" }, {}], { udpWorkers: 2 });
  expect(kept.take("udp", at(1))).toEqual({ sockets: [4], surplus: [] });
  expect(done).toEqual([
    expect.stringMatching(/^info: a socket of the last run is closed, because it is connected/),
    "close 3",
    expect.stringMatching(/^info: sockets were open/),
    "forget udp-127.0.0.1-1",
    "barrier",
  ]);
  expect(keep([{ flaw: "is connected", name: "buntracker.socket" }]).done).toContainEqual(
    expect.stringMatching(/^warn: the tracker was given a socket that is connected.*"remedy":/),
  );
});

test("a UDP socket that is shut down is not used: it would keep a core busy", () => {
  const { kept, done } = keep([{ flaw: "is shut down" }]);
  expect(kept.take("udp", at(1))).toEqual({ sockets: [], surplus: [] });
  expect(done).toContain("close 3");
  expect(done[0]).toContain("because it is shut down");
});

test("a supervisor that does not hear is told once: each message waits two seconds", () => {
  const sockets = [7, 8, 9].map((port) => ({ at: `127.0.0.1:${port}`, name: `udp-x-${port}` }));
  const told = (heard: boolean) =>
    keep(sockets, {}, Infinity, heard).done.filter((text) => /^(forget|barrier)/.test(text));
  expect(told(true)).toEqual(["forget udp-x-7", "forget udp-x-8", "forget udp-x-9", "barrier"]);
  expect(told(false)).toEqual(["forget udp-x-7"]);
});

test("a socket of a unit that the settings do not need is a warning: its requests stay", () => {
  const { done } = keep([{ at: "127.0.0.1:9", name: "buntracker.socket" }]);
  expect(done).toContain("close 3");
  expect(done).toContainEqual(
    expect.stringMatching(/^warn: the tracker was given a socket .*"remedy":"take it out of its/),
  );
});

test("sockets in use are stored by address, but not those that a unit keeps anyway", () => {
  const { kept, done } = keep([{ protocol: "tcp", name: "buntracker.socket" }], { udpWorkers: 2 });
  for (const fd of kept.take("tcp", at(1)).sockets) kept.note("tcp", at(1), fd);
  kept.note("udp", at(1), 7);
  kept.note("udp", at(1), 8);
  kept.note("tcp", at(2, "fe80::1%eth0"), 9);
  kept.note("udp", at(0), 10);
  kept.note("tcp", at(3), undefined);
  kept.store();
  expect(done.filter((text) => text.startsWith("store"))).toEqual([
    "store udp-127.0.0.1-1 7,8",
    "store tcp-[fe80__1%eth0]-2 9",
  ]);
});

test("a store that is too small is a warning with the number that is needed", () => {
  const stored = (size: number) => {
    const { kept, done } = keep([], { udpWorkers: 3 }, size);
    kept.store();
    return done;
  };
  expect(countSockets({ ...CONFIG, udpWorkers: 3 })).toBe(5);
  expect(countSockets({ ...CONFIG, udpWorkers: 0 })).toBe(3);
  expect(countSockets({ ...CONFIG, httpWorkers: 4 })).toBe(6);
  expect(stored(5)).toEqual([]);
  expect(stored(4)).toEqual([
    "warn: systemd keeps too few sockets over a restart " +
      '{"sockets":5,"kept":4,"remedy":"set FileDescriptorStoreMax=5 in the unit"}',
  ]);
});

test("an address with an interface that is missing has no inherited sockets", () => {
  const missing = at(1, "fe80::1%nope");
  const { kept } = keep([{}], { udpListeners: [missing, at(1)] });
  expect(kept.take("udp", missing).sockets).toEqual([]);
  expect(kept.take("udp", at(1)).sockets).toEqual([3]);
});
