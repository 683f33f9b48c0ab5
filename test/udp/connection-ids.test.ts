/** What a connection id proves. The addresses are for documentation. */
import { describe, expect, test } from "bun:test";
import type { Family } from "../../src/constants.ts";
import {
  connectionKey,
  ConnectionIds,
  PROOF_FRESH,
  PROOF_NETWORK,
  PROOF_NONE,
  PROOF_OLD,
} from "../../src/udp/connection-ids.ts";
import { Chaskey } from "../../src/udp/chaskey.ts";
import { bytesOf, KEY } from "./fixture.ts";

const TTL = 1200;
const SLOT = 100;
const NOW = 1_800_000_000;
const IPV4 = bytesOf("c0000201");
const IPV6 = bytesOf("20010db8000000000000000000000001");
const ids = new ConnectionIds(KEY, TTL);

/** The numbers of four bytes, in network order. */
function wordsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.slice().buffer);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(4 * i));
}

function write(of: ConnectionIds, address: Uint8Array, seconds: number): Uint8Array {
  const id = new Uint8Array(8);
  of.write(address, 0, (address.length === 4 ? 4 : 6) as Family, seconds, id, 0);
  return id;
}

function proof(of: ConnectionIds, address: Uint8Array, seconds: number, id: Uint8Array): number {
  return of.proofOf(address, 0, (address.length === 4 ? 4 : 6) as Family, seconds, id, 0);
}

/** True if the id proves the address, lately or not. */
function accepts(of: ConnectionIds, address: Uint8Array, seconds: number, id: Uint8Array): boolean {
  return proof(of, address, seconds, id) >= PROOF_OLD;
}

for (const [name, address] of [
  ["IPv4", IPV4],
  ["IPv6", IPV6],
] as const) {
  describe(`a connection id of an ${name} address`, () => {
    test("is accepted from its issue to the end of its lifetime, at any time of a slot", () => {
      for (let given = NOW; given < NOW + 2 * SLOT; given += 7) {
        const id = write(ids, address, given);
        for (let age = 0; age <= TTL; age += 20) {
          expect(accepts(ids, address, given + age, id)).toBe(true);
        }
      }
    });

    test("is refused from one slot after its lifetime on", () => {
      for (let given = NOW; given < NOW + 2 * SLOT; given += 7) {
        const id = write(ids, address, given);
        for (let age = TTL + SLOT; age < TTL + 40 * SLOT; age += 17) {
          expect(accepts(ids, address, given + age, id)).toBe(false);
        }
      }
    });

    test("proves less from the third slot after its issue on", () => {
      for (let given = NOW; given < NOW + 2 * SLOT; given += 7) {
        const id = write(ids, address, given);
        expect(proof(ids, address, given, id)).toBe(PROOF_FRESH);
        expect(proof(ids, address, given + 2 * SLOT, id)).toBe(PROOF_FRESH);
        expect(proof(ids, address, given + 3 * SLOT, id)).toBe(PROOF_OLD);
        expect(proof(ids, address, given + TTL, id)).toBe(PROOF_OLD);
      }
    });

    test("is accepted by a machine whose clock is one slot behind, and no further", () => {
      for (let given = NOW; given < NOW + 2 * SLOT; given += 7) {
        const id = write(ids, address, given);
        expect(proof(ids, address, given - SLOT, id)).toBe(PROOF_FRESH);
        for (let early = 2 * SLOT; early < 40 * SLOT; early += 17) {
          expect(accepts(ids, address, given - early, id)).toBe(false);
        }
      }
    });

    test("is refused with any one bit flipped", () => {
      const id = write(ids, address, NOW);
      for (let bit = 0; bit < 64; bit++) {
        id[bit >> 3] ^= 1 << (bit & 7);
        expect(proof(ids, address, NOW, id)).toBe(PROOF_NONE);
        id[bit >> 3] ^= 1 << (bit & 7);
      }
      expect(accepts(ids, address, NOW, id)).toBe(true);
    });

    test("is refused from every address that differs in one bit", () => {
      const id = write(ids, address, NOW);
      for (let bit = 0; bit < address.length * 8; bit++) {
        const other = address.slice();
        other[bit >> 3] ^= 1 << (bit & 7);
        expect(accepts(ids, other, NOW, id)).toBe(false);
      }
    });

    test("is refused under a key that differs in one bit", () => {
      const id = write(ids, address, NOW);
      for (let bit = 0; bit < 256; bit++) {
        const key = KEY.slice();
        key[bit >> 3] ^= 1 << (bit & 7);
        expect(accepts(new ConnectionIds(key, TTL), address, NOW, id)).toBe(false);
      }
    });

    test("is accepted after a restart with the same key, and on every thread", () => {
      const id = write(ids, address, NOW);
      expect(accepts(new ConnectionIds(KEY.slice(), TTL), address, NOW + 60, id)).toBe(true);
    });

    test("is the same during a slot, and differs in the next", () => {
      const id = write(ids, address, NOW).toHex();
      expect(write(ids, address, NOW + SLOT - 1).toHex()).toBe(id);
      expect(write(ids, address, NOW + SLOT).toHex()).not.toBe(id);
      // The sixteenth slot has the same slot bits again, but another MAC.
      expect(write(ids, address, NOW + 16 * SLOT).toHex()).not.toBe(id);
    });

    test("does not depend on the bytes around the address and the id", () => {
      const id = write(ids, address, NOW);
      const around = new Uint8Array(40).fill(0x99);
      around.set(address, 3);
      around.set(id, 25);
      const family = (address.length === 4 ? 4 : 6) as Family;
      expect(ids.proofOf(around, 3, family, NOW, around, 25)).toBe(PROOF_FRESH);
      const out = new Uint8Array(12).fill(0x99);
      ids.write(around, 3, family, NOW, out, 2);
      expect(out.toHex()).toBe("9999" + id.toHex() + "9999");
    });
  });
}

describe("a connection id of another address of the /64", () => {
  const neighbour = (bit: number): Uint8Array => {
    const other = IPV6.slice();
    other[bit >> 3] ^= 1 << (bit & 7);
    return other;
  };

  test("proves the network, while it is fresh", () => {
    const id = write(ids, IPV6, NOW);
    for (let bit = 64; bit < 128; bit++) {
      expect(proof(ids, neighbour(bit), NOW, id)).toBe(PROOF_NETWORK);
      expect(proof(ids, neighbour(bit), NOW + 2 * SLOT, id)).toBe(PROOF_NETWORK);
      expect(proof(ids, neighbour(bit), NOW + 3 * SLOT, id)).toBe(PROOF_NONE);
    }
  });

  test("proves nothing for other networks, but for one in 65,536", () => {
    let found = 0;
    for (let i = 0; i < 20_000; i++) {
      const other = IPV6.slice();
      other[4] = i >> 8;
      other[5] = i;
      other[6] = 1;
      if (proof(ids, other, NOW, write(ids, IPV6, NOW + (i % 2))) !== PROOF_NONE) found += 1;
    }
    expect(found).toBeLessThan(8);
    const id = write(ids, IPV6, NOW);
    for (let bit = 0; bit < 64; bit++) {
      expect(proof(ids, neighbour(bit), NOW, id)).toBe(PROOF_NONE);
    }
  });

  test("has other network bits in each slot and under each key", () => {
    const bits = (of: ConnectionIds, seconds: number) =>
      write(of, IPV6, seconds).toHex().slice(11, 15);
    const slots = Array.from({ length: 50 }, (_, i) => bits(ids, NOW + i * SLOT));
    expect(new Set(slots).size).toBeGreaterThan(45);
    const key = KEY.slice();
    key[31] ^= 1;
    expect(bits(new ConnectionIds(key, TTL), NOW)).not.toBe(bits(ids, NOW));
  });

  test("proves nothing for IPv4, whose networks have many holders", () => {
    const id = write(ids, IPV4, NOW);
    for (let host = 2; host < 250; host++) {
      expect(proof(ids, new Uint8Array([192, 0, 2, host]), NOW, id)).toBe(PROOF_NONE);
    }
  });
});

describe("connection ids", () => {
  test("are the first 60 bits of a MAC over address and slot, then the slot mod 16", () => {
    const slot = NOW / SLOT;
    const words = new Int32Array(new Bun.CryptoHasher("sha256").update(KEY).digest().buffer);
    for (const [address, rest] of [
      [IPV4, [1, 0]],
      [IPV6, [1, 0, 0]],
    ] as const) {
      const mac = new Chaskey(words.subarray(0, 4));
      mac.compute(Int32Array.of(...wordsOf(address), slot, ...rest));
      const bits = (BigInt(mac.first >>> 0) << 32n) | BigInt(mac.second >>> 0);
      const id = BigInt(`0x${write(ids, address, NOW).toHex()}`);
      const common = address === IPV4 ? 4n : 20n;
      expect(id >> common).toBe(bits >> common);
      expect(id & 15n).toBe(BigInt(slot % 16));
    }
  });

  test("of one family do not depend on requests of the other between them", () => {
    const [id, id6] = [write(ids, IPV4, NOW), write(ids, IPV6, NOW)];
    expect(accepts(ids, IPV6, NOW, id)).toBe(false);
    expect(accepts(ids, IPV4, NOW, id)).toBe(true);
    expect(accepts(ids, IPV4, NOW, id6)).toBe(false);
    expect(accepts(ids, IPV6, NOW, id6)).toBe(true);
  });

  test("are never 0, and differ between addresses", () => {
    const seen = new Set<string>();
    const address = IPV4.slice();
    for (let i = 0; i < 20_000; i++) {
      address[2] = i >> 8;
      address[3] = i;
      const id = write(ids, address, NOW).toHex();
      expect(id).not.toBe("0000000000000000");
      seen.add(id);
    }
    expect(seen.size).toBe(20_000);
  });

  test("are not found by a million random guesses", () => {
    const guesses = new Uint8Array(8 * 8192);
    let found = 0;
    for (let i = 0; i < 1_000_000; i++) {
      const at = (i % 8192) * 8;
      if (at === 0) crypto.getRandomValues(guesses);
      if (ids.proofOf(IPV4, 0, 4, NOW, guesses, at) !== PROOF_NONE) found += 1;
    }
    expect(found).toBe(0);
  });

  test("are never 0 or the magic number of a connect request", () => {
    for (let seconds = NOW; seconds < NOW + 2000; seconds += SLOT) {
      expect(accepts(ids, IPV4, seconds, new Uint8Array(8))).toBe(false);
      expect(accepts(ids, IPV4, seconds, bytesOf("0000041727101980"))).toBe(false);
    }
  });

  test("follow the configured lifetime", () => {
    for (const lifetime of [120, 125, 3600]) {
      const others = new ConnectionIds(KEY, lifetime);
      const id = write(others, IPV4, NOW + 11);
      expect(accepts(others, IPV4, NOW + 11 + lifetime, id)).toBe(true);
      expect(accepts(others, IPV4, NOW + 11 + lifetime * (1 + 1 / 12) + 1, id)).toBe(false);
    }
  });
});

describe("the key", () => {
  const SECRET = "0123456789abcdef0123456789abcdef";

  test("is random without a secret, and the same for the same secret", () => {
    expect(connectionKey(undefined)).toHaveLength(32);
    expect(connectionKey(undefined)).not.toEqual(connectionKey(undefined));
    expect(connectionKey(SECRET)).toEqual(connectionKey(SECRET));
    expect(connectionKey(SECRET)).not.toEqual(connectionKey(`${SECRET}0`));
  });
});
