/** The messages between trackers of a cluster: there and back, and whatever else arrives. */
import { describe, expect, spyOn, test } from "bun:test";
import {
  askMessage,
  BATCH_BYTES_MAX,
  CHUNK_BYTES_MAX,
  DELTA_BYTES_IPV4,
  DELTA_BYTES_IPV6,
  DELTA_IPV6,
  DELTA_SEEDER,
  deltasMessage,
  FORMAT_VERSION,
  helloMessage,
  KIND_ASK,
  KIND_DELTAS,
  KIND_HELLO,
  KIND_STATE,
  KNOWN_MAX,
  MESSAGE_BYTES_MAX,
  readMessage,
  SECONDS_MAX,
  senderOf,
  stateMessage,
} from "../../src/cluster/wire.ts";

const SENDER = { origin: "0123456789abcdef", number: 4_000_000_000 };
const OTHER = { origin: "fedcba9876543210", number: 7 };

function records(...flags: number[]): Uint8Array {
  const parts = flags.map((flag) => {
    const bytes = new Uint8Array((flag & DELTA_IPV6) === 0 ? DELTA_BYTES_IPV4 : DELTA_BYTES_IPV6);
    bytes[0] = flag;
    return bytes.fill(flag + 7, 2);
  });
  return Buffer.concat(parts);
}

const HELLO = {
  keepsSeconds: 2700,
  drains: true,
  behind: false,
  partial: true,
  upSeconds: 90_000,
  clockSeconds: 4_000_000_000,
  had: [
    { ...OTHER, heard: 7, ageSeconds: 4_000_000 },
    { ...SENDER, heard: 4_000_000_009 },
  ],
  name: "nœud 1",
};
const ASK = { session: 65_535, begins: true, sinceSeconds: 40, credit: 16 };
const CHUNK = new Uint8Array(100).fill(9);
const STATE = { session: 3, tickSeconds: 45, number: 12, chunk: CHUNK, had: [] };
const END = {
  session: 3,
  tickSeconds: 45,
  number: 13,
  chunk: undefined,
  had: [{ ...OTHER, heard: 9 }],
};

const MESSAGES = {
  deltas: deltasMessage(SENDER, records(0, DELTA_IPV6 | DELTA_SEEDER, 0)),
  hello: helloMessage(SENDER, HELLO),
  ask: askMessage(SENDER, ASK),
  state: stateMessage(SENDER, STATE),
  end: stateMessage(SENDER, END),
};

describe("a message is read as it was written", () => {
  test("a batch of deltas", () => {
    const read = readMessage(MESSAGES.deltas);
    const body = records(0, DELTA_IPV6 | DELTA_SEEDER, 0);
    expect(read).toEqual({ ...SENDER, kind: KIND_DELTAS, records: new Uint8Array(body) });
  });

  test("a hello, with and without flags and others", () => {
    expect(readMessage(MESSAGES.hello)).toEqual({ ...SENDER, kind: KIND_HELLO, ...HELLO });
    const plain = { ...HELLO, drains: false, behind: true, partial: false, had: [], name: "" };
    expect(readMessage(helloMessage(SENDER, plain))).toEqual({
      ...SENDER,
      kind: KIND_HELLO,
      ...plain,
    });
  });

  test("an ask, for the last seconds and for all", () => {
    expect(readMessage(MESSAGES.ask)).toEqual({ ...SENDER, kind: KIND_ASK, ...ASK });
    const more = { session: 0, begins: false, sinceSeconds: Infinity, credit: 1 };
    expect(readMessage(askMessage(SENDER, more))).toEqual({ ...SENDER, kind: KIND_ASK, ...more });
  });

  test("a piece of state, and its end", () => {
    expect(readMessage(MESSAGES.state)).toEqual({ ...SENDER, kind: KIND_STATE, ...STATE });
    expect(readMessage(MESSAGES.end)).toEqual({ ...SENDER, kind: KIND_STATE, ...END });
  });

  test("from any place of a larger buffer, even an odd one", () => {
    for (const message of Object.values(MESSAGES)) {
      const buffer = new Uint8Array(message.length + 3);
      buffer.set(message, 1);
      expect(readMessage(buffer.subarray(1, 1 + message.length))).toEqual(readMessage(message));
    }
  });
});

describe("what a message cannot hold", () => {
  test("is cut: a long name between two characters, the origins after the first 64", () => {
    const had = Array.from({ length: KNOWN_MAX + 5 }, () => ({ ...OTHER, heard: 7 }));
    const read = readMessage(helloMessage(SENDER, { ...HELLO, had, name: `${"x".repeat(63)}é` }));
    expect(read).toMatchObject({ name: "x".repeat(63), had: had.slice(0, KNOWN_MAX) });
  });

  test("is told as the longest time there is, which is not all", () => {
    const hello = readMessage(helloMessage(SENDER, { ...HELLO, keepsSeconds: 172_800 }));
    expect(hello).toMatchObject({ keepsSeconds: SECONDS_MAX });
    const since = (sinceSeconds: number) =>
      readMessage(askMessage(SENDER, { ...ASK, sinceSeconds }));
    expect(since(SECONDS_MAX)).toMatchObject({ sinceSeconds: SECONDS_MAX });
    expect(since(SECONDS_MAX + 1)).toMatchObject({ sinceSeconds: Infinity });
    expect(since(0.5)).toMatchObject({ sinceSeconds: 1 });
    const [old] = [{ ...OTHER, heard: 7, ageSeconds: 2 ** 32 + 5 }];
    const named = readMessage(helloMessage(SENDER, { ...HELLO, had: [old] }));
    expect(named).toMatchObject({ had: [{ ...OTHER, heard: 7 }] });
    expect(Object.keys((named as { had: object[] }).had[0]!)).not.toContain("ageSeconds");
  });

  test("begins again: the number of a chunk after 65,535 is 0", () => {
    const read = readMessage(stateMessage(SENDER, { ...STATE, number: 65_536 }));
    expect(read).toMatchObject({ number: 0 });
  });
});

describe("what is not a message of this version", () => {
  test("is told apart: another version or kind, and anything else", () => {
    const changed = (at: number, value: number): Uint8Array => {
      const bytes = MESSAGES.hello.slice();
      bytes[at] = value;
      return bytes;
    };
    expect(readMessage(changed(2, FORMAT_VERSION + 1))).toBe("version");
    expect(readMessage(changed(3, 5))).toBe("version");
    expect(readMessage(changed(3, 0))).toBe("version");
    expect(readMessage(changed(0, 0))).toBe("bad");
    expect(readMessage(new Uint8Array(0))).toBe("bad");
  });

  test("is damaged at every length but its own, except for a name and a chunk", () => {
    for (const [kind, message] of Object.entries(MESSAGES)) {
      for (let length = 0; length < message.length; length++) {
        const read = readMessage(message.subarray(0, length));
        if (typeof read !== "string") {
          const isEven = kind === "deltas" && [16, 44, 84].includes(length);
          const isShorter = kind === "hello" && length >= 52;
          const hasFewer = kind === "end" && length === 24;
          expect([kind, isEven || isShorter || hasFewer || kind === "state"]).toEqual([kind, true]);
        }
      }
    }
    expect(readMessage(Buffer.concat([MESSAGES.ask, Buffer.alloc(2)]))).toBe("bad");
    expect(readMessage(Buffer.concat([MESSAGES.deltas, Buffer.alloc(2)]))).toBe("bad");
  });

  test("may not be larger than the largest", () => {
    const largest = stateMessage(SENDER, { ...STATE, chunk: new Uint8Array(CHUNK_BYTES_MAX) });
    expect(largest.length).toBe(MESSAGE_BYTES_MAX);
    expect(readMessage(largest)).toMatchObject({ kind: KIND_STATE });
    expect(readMessage(new Uint8Array([...largest, 0]))).toBe("bad");
    const batch = deltasMessage(SENDER, new Uint8Array(BATCH_BYTES_MAX + DELTA_BYTES_IPV4 * 8));
    expect(readMessage(batch)).toBe("bad");
  });

  test("never throws, however its bytes are changed", () => {
    let seed = 1;
    const draw = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    const outcomes = new Map<string, number>();
    for (let round = 0; round < 20_000; round++) {
      const bytes = Object.values(MESSAGES)[draw(5)].slice();
      for (let changes = draw(4); changes >= 0; changes--) bytes[draw(bytes.length)] = draw(256);
      const read = readMessage(bytes.subarray(0, bytes.length - draw(2) * draw(bytes.length)));
      const outcome = typeof read === "string" ? read : "read";
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect([...outcomes.keys()].sort()).toEqual(["bad", "read", "version"]);
  });
});

test("a message of another version tells its version, and the name of its sender if it can", () => {
  const later = (bytes: Uint8Array): Uint8Array => {
    const copy = bytes.slice();
    copy[2] = FORMAT_VERSION + 1;
    return copy;
  };
  expect(senderOf(later(helloMessage(SENDER, HELLO)))).toEqual([2, "nœud 1"]);
  expect(senderOf(later(askMessage(SENDER, ASK)))).toEqual([2, SENDER.origin]);
  expect(senderOf(later(helloMessage(SENDER, HELLO)).subarray(0, 17))).toEqual([2, SENDER.origin]);
});

test("what a hello names is read only when it is asked for: a flood of hellos is not", () => {
  const had = Array.from({ length: KNOWN_MAX }, (_, n) => ({ ...OTHER, number: n, heard: n }));
  const bytes = helloMessage(SENDER, { ...HELLO, had });
  const toHex = spyOn(Uint8Array.prototype, "toHex");
  try {
    const message = readMessage(bytes);
    expect(toHex).toHaveBeenCalledTimes(1);
    expect(message).toMatchObject({ kind: KIND_HELLO, had });
    expect(toHex.mock.calls.length).toBeGreaterThan(KNOWN_MAX);
  } finally {
    toHex.mockRestore();
  }
});
