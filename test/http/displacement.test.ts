import { describe, expect, test } from "bun:test";
import { Admission } from "../../src/http/admission.ts";
import { Connection } from "../../src/http/connection.ts";
import { ConnectionCounts, Connections } from "../../src/http/connections.ts";
import { PROGRESS_BYTES } from "../../src/http/displacement.ts";
import { Networks } from "../../src/net/addresses.ts";
import { fakeSocket } from "./fake-socket.ts";

const EXEMPT = "10.0.0.0/8";

/** Open connections by name, and the one that gives way to a newcomer. */
function crowd() {
  const options = { connectionsMax: Infinity, exempt: new Networks([EXEMPT]) };
  const admission = new Admission(options, new Connections(), new ConnectionCounts());
  const names = new Map<Connection, string>();
  const make = (remoteAddress: string) =>
    new Connection(fakeSocket({ remoteAddress }), admission.neighbourhood);
  const open = (address: string, waitsSince: number, name = address) => {
    const connection = make(address);
    connection.wait(waitsSince, 10);
    admission.add(connection);
    names.set(connection, name);
    return connection;
  };
  const upgrade = (connection: Connection) => {
    connection.busy = true;
    admission.settle(connection, connection as { address: Uint8Array; family: 4 | 6 });
  };
  const owe = (connection: Connection, now: number) => {
    connection.unsent = Buffer.from("answers");
    admission.displacement.noteUnsent(connection, now);
  };
  const victim = (address: string, now: number, crowded = false) => {
    const found = admission.displacement.victimFor(make(address), now, crowded);
    return found === undefined ? "nobody" : names.get(found);
  };
  return { admission, displacement: admission.displacement, open, owe, upgrade, victim };
}

const NEWCOMER = "203.0.113.1";

describe("first a connection that does not read gives way", () => {
  test("after two ticks, not sooner, however long others wait", () => {
    const { open, owe, victim } = crowd();
    open("192.0.2.1", 0, "waiting");
    owe(open("192.0.2.2", 0, "stalled"), 9);
    expect(victim(NEWCOMER, 10)).toBe("waiting");
    expect(victim(NEWCOMER, 11)).toBe("stalled");
  });

  test("of several the one with the oldest progress", () => {
    const { displacement, open, owe, victim } = crowd();
    const [first, second] = [open("192.0.2.1", 0, "first"), open("192.0.2.2", 0, "second")];
    owe(first, 1);
    owe(second, 2);
    expect(victim(NEWCOMER, 9)).toBe("first");
    displacement.noteTaken(first, PROGRESS_BYTES, 5);
    expect(victim(NEWCOMER, 9)).toBe("second");
  });

  test("also one that takes only a few bytes now and then", () => {
    const { displacement, open, owe, victim } = crowd();
    const connection = open("192.0.2.1", 9, "slow");
    owe(connection, 10);
    for (let tick = 10; tick < 12; tick++)
      displacement.noteTaken(connection, PROGRESS_BYTES / 3, tick);
    expect(victim(NEWCOMER, 12)).toBe("slow");
    displacement.noteTaken(connection, PROGRESS_BYTES / 2, 12);
    expect(victim(NEWCOMER, 13)).toBe("nobody");
  });

  test("its progress is kept until it waits for its next request", () => {
    const { owe, open, victim } = crowd();
    const connection = open("192.0.2.1", 0, "slow");
    owe(connection, 1);
    connection.unsent = undefined;
    owe(connection, 8);
    expect(victim(NEWCOMER, 9)).toBe("slow");
    connection.unsent = undefined;
    connection.wait(9, 30);
    owe(connection, 9);
    expect(victim(NEWCOMER, 10)).toBe("nobody");
  });

  test("but not one whose answer is still being made", () => {
    const { owe, open, victim } = crowd();
    const connection = open("192.0.2.1", 0);
    owe(connection, 1);
    connection.unsent = undefined;
    connection.busy = true;
    expect(victim(NEWCOMER, 9)).toBe("nobody");
  });
});

describe("then a connection of the address with the most connections gives way", () => {
  test("the one that has waited longest", () => {
    const { open, victim } = crowd();
    open("192.0.2.9", 0, "light");
    const first = open("192.0.2.1", 1, "first");
    open("192.0.2.1", 2, "second");
    expect(victim(NEWCOMER, 9)).toBe("first");
    first.wait(5, 30);
    expect(victim(NEWCOMER, 9)).toBe("second");
  });

  test("not before two ticks, unless it has twice as many as the newcomer's would have", () => {
    const { open, victim } = crowd();
    for (let i = 0; i < 2; i++) open("192.0.2.1", 8, `heavy ${i}`);
    expect(victim(NEWCOMER, 9)).toBe("nobody");
    open("192.0.2.1", 8, "heavy 2");
    expect(victim(NEWCOMER, 9)).toBe("heavy 0");
    open(NEWCOMER, 9);
    expect(victim(NEWCOMER, 9)).toBe("nobody");
    expect(victim(NEWCOMER, 10)).toBe("heavy 0");
  });

  test("an IPv6 /48 counts as one address against others", () => {
    const { open, victim } = crowd();
    for (let i = 0; i < 3; i++) open("192.0.2.1", 8, "IPv4");
    for (let i = 0; i < 16; i++) open(`2001:db8:0:${i}::1`, 8, `/64 ${i}`);
    expect(victim(NEWCOMER, 9)).toBe("/64 0");
    expect(victim("2001:db8:1::1", 9)).toBe("/64 0");
  });

  test("within its own /48 a newcomer replaces one of the /64 with the most connections", () => {
    const { open, victim } = crowd();
    open("2001:db8:0:1::1", 8, "light");
    for (let i = 0; i < 3; i++) open("2001:db8:0:2::1", 8, `heavy ${i}`);
    expect(victim("2001:db8:0:3::1", 9)).toBe("heavy 0");
    expect(victim("2001:db8:0:2::1", 9)).toBe("nobody");
  });

  test("one that waits before one that is being answered", () => {
    const { open, victim } = crowd();
    open("192.0.2.1", 1, "busy").busy = true;
    for (let i = 0; i < 3; i++) open("192.0.2.1", 2 + i, `idle ${i}`);
    expect(victim(NEWCOMER, 9)).toBe("idle 0");
  });

  test("without a waiting one there, a waiting one from anywhere", () => {
    const { open, victim } = crowd();
    open("192.0.2.1", 0, "idle");
    for (let i = 0; i < 2; i++) open("192.0.2.2", 9);
    expect(victim(NEWCOMER, 9)).toBe("idle");
  });

  test("exempt networks never have the most connections, but waiting ones there give way", () => {
    const { open, victim } = crowd();
    for (let i = 0; i < 9; i++) open(`10.0.0.${i}`, 8, "exempt");
    for (let i = 0; i < 3; i++) open("192.0.2.1", 9, "heavy");
    expect(victim(NEWCOMER, 9)).toBe("heavy");
    expect(victim("10.0.0.9", 9)).toBe("heavy");
    for (let i = 0; i < 8; i++) open(NEWCOMER, 9);
    expect(victim("192.0.2.1", 9)).toBe("nobody");
    expect(victim("192.0.2.1", 10)).toBe("exempt");
  });
});

describe("a site full of WebSockets", () => {
  const openMany = () => {
    const opened = crowd();
    const { open, upgrade } = opened;
    for (let i = 0; i < 20; i++) upgrade(open("192.0.2.1", 0, "WebSocket"));
    return opened;
  };

  test("does not hide the site with the most connections that can give way", () => {
    const { open, victim } = openMany();
    for (let i = 0; i < 5; i++) open("192.0.2.2", 8, `heavy ${i}`);
    expect(victim(NEWCOMER, 9)).toBe("heavy 0");
    expect(victim("192.0.2.1", 9)).toBe("nobody");
  });

  test("does not hide a waiting connection of that site", () => {
    const { open, victim } = openMany();
    for (let i = 0; i < 2; i++) open("192.0.2.2", 5, `waiting ${i}`);
    for (let i = 0; i < 40; i++) open(`198.51.100.${i}`, 6, "other");
    expect(victim(NEWCOMER, 9)).toBe("waiting 0");
  });

  test("counts as before once they have closed", () => {
    const { admission, open, upgrade, victim } = openMany();
    const more = Array.from({ length: 9 }, () => open("192.0.2.3", 0, "closed"));
    more.forEach(upgrade);
    for (const connection of more) admission.remove(connection);
    for (let i = 0; i < 3; i++) open("192.0.2.3", 8, "again");
    expect(admission.neighbourhood.heaviest?.yielding).toBe(3);
    expect(victim(NEWCOMER, 9)).toBe("again");
  });
});

describe("an address at its limit", () => {
  test("replaces connections of its own site, and none of others that await a request", () => {
    const { open, victim } = crowd();
    open("192.0.2.1", 0, "other");
    open(NEWCOMER, 8, "own");
    expect(victim(NEWCOMER, 9, true)).toBe("nobody");
    expect(victim(NEWCOMER, 10, true)).toBe("own");
  });

  test("replaces idle ones of others that have had an answer, after two ticks", () => {
    const { open, victim } = crowd();
    const answered = open("192.0.2.1", 5, "answered");
    answered.partial = false;
    const halfAsked = open("192.0.2.2", 0, "half asked");
    halfAsked.partial = false;
    halfAsked.keep(Buffer.from("GET /"));
    open("192.0.2.3", 0, "busy").busy = true;
    open(NEWCOMER, 8, "own");
    expect(victim(NEWCOMER, 6, true)).toBe("nobody");
    expect(victim(NEWCOMER, 7, true)).toBe("answered");
    expect(victim(NEWCOMER, 10, true)).toBe("own");
  });
});

test("the time for a newcomer is the same with ten connections and with 20,000", () => {
  const { displacement, open, owe } = crowd();
  for (let i = 0; i < 20_000; i++) {
    const connection = open(`192.0.${(i >> 8) & 127}.${i & 255}`, 8);
    if (i % 2 === 0) owe(connection, 8);
  }
  const newcomer = open(NEWCOMER, 9);
  let looks = 0;
  const free = Object.getOwnPropertyDescriptor(Connection.prototype, "free")!;
  Object.defineProperty(Connection.prototype, "free", {
    configurable: true,
    get(this: Connection) {
      looks += 1;
      return free.get!.call(this) as boolean;
    },
  });
  try {
    displacement.victimFor(newcomer, 9, false);
    expect(looks).toBeLessThan(200);
  } finally {
    Object.defineProperty(Connection.prototype, "free", free);
  }
});
