/**
 * Campaigns against the files of the access lists: info hashes and networks. An input is one line.
 *
 * What is plainly a hash or an address must be on the list that was read, whatever stands in the
 * lines around it; what cannot be read is counted, line by line.
 */
import { readHashFile } from "../../src/access/hash-file.ts";
import { readNetworkFile } from "../../src/access/network-file.ts";
import { readAddress } from "../../src/net/addresses.ts";
import { fixedKeys } from "../swarm/fixture.ts";
import { mutateText } from "./mutations.ts";
import { must } from "./oracle.ts";
import type { Random } from "./random.ts";
import type { Campaign } from "./readers.ts";

const LINES_PER_FILE = 256;

/** Feeds files of mutated lines to `judge`, which gets the text as lines and as bytes. */
function feed(
  random: Random,
  count: number,
  seeds: readonly string[],
  characters: string,
  judge: (lines: string[], bytes: Uint8Array) => void,
): void {
  for (let done = 0; done < count; done += LINES_PER_FILE) {
    const lines = Array.from({ length: LINES_PER_FILE }, () => {
      const seed = random.pick(seeds);
      return random.oneIn(2) ? seed : mutateText(random, seed, characters);
    });
    const text = lines.join(random.oneIn(2) ? "\n" : "\r\n");
    try {
      judge(text.split(/\r?\n/), Buffer.from(text, "latin1"));
    } catch (error) {
      throw new Error(`${(error as Error).message}\nfile: ${JSON.stringify(text)}`);
    }
  }
}

function finish<Result>(work: Generator<undefined, Result>): Result {
  let step = work.next();
  while (!step.done) step = work.next();
  return step.value;
}

export function hashListCampaign(): Campaign {
  const keys = fixedKeys();
  const hash = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
  const seeds = [
    hash,
    hash.toUpperCase(),
    `${hash} # why`,
    "5a".repeat(32),
    "# a comment",
    "",
    " ",
  ];
  return {
    name: "files of info hashes",
    run(random, count) {
      feed(random, count, seeds, "0aFg \t#;\0\xff", (lines, bytes) => {
        const { list, bad } = finish(readHashFile(bytes, keys));
        must(list.size + bad.count <= lines.length, "more hashes and bad lines than lines");
        for (const line of lines) {
          if (!/^[0-9a-fA-F]{40}$/.test(line)) continue;
          const halves = new Uint16Array(Uint8Array.fromHex(line).buffer);
          must(list.contains(halves, 0), `${line} is not on the list`);
        }
      });
    },
  };
}

export function networkListCampaign(): Campaign {
  const seeds = [
    "192.0.2.0/24",
    "2001:db8::1",
    "Some name, Inc:198.51.100.0-198.51.100.255",
    "Some name:2001:db8::-2001:db8::ffff",
    "010.000.000.001",
    "203.0.113.9",
    "# a comment",
    "",
  ];
  const address = new Uint8Array(16);
  return {
    name: "files of networks",
    run(random, count) {
      feed(random, count, seeds, "0129af.:/- #\0\xff", (lines, bytes) => {
        const { list, bad } = finish(readNetworkFile(bytes));
        must(list.size + bad.count <= lines.length, "more networks and bad lines than lines");
        for (const line of lines) {
          const family = readAddress(line, address, 0);
          if (family === 0 || line.includes("%")) continue;
          must(list.contains(address, 0, family), `${line} is not on the list`);
        }
      });
    },
  };
}
