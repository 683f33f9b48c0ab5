import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RequestRules } from "../../src/limits/request-rules.ts";
import { RuleKeeper } from "../../src/limits/rule-keeper.ts";

const directory = mkdtempSync(join(tmpdir(), "buntracker-rules-"));
afterAll(() => rmSync(directory, { recursive: true }));

const path = join(directory, "rules");

function keeperOf(text: string, threads = 1): RuleKeeper {
  writeFileSync(path, text);
  return new RuleKeeper(path, threads);
}

/** Judges a request from port 6881. */
function ask(keeper: RuleKeeper, thread = 0): void {
  const rules = new RequestRules(thread, keeper.shared);
  const bytes = new Uint8Array(98);
  const about = { address: bytes, addressAt: 0, family: 4, port: 6881 } as const;
  rules.judge({ ...about, peerId: bytes, peerIdAt: 36, head: undefined });
}

describe("the keeper of the rules", () => {
  test("shares the rules it has taken, and no rules before", () => {
    const keeper = keeperOf("drop port=1");
    expect(keeper.shared.rules).toEqual([]);
    keeper.take(keeper.read());
    expect(keeper.shared.rules.map(({ text }) => text)).toEqual(["drop port=1"]);
  });

  test("has no rules without a file", () => {
    expect(new RuleKeeper(undefined, 1).read()).toEqual([]);
  });

  test("keeps the counts of lines over all threads and reloads, until a line is removed", () => {
    const keeper = keeperOf("count port=6881\ndrop port=1-9999", 2);
    keeper.take(keeper.read());
    ask(keeper, 0);
    ask(keeper, 1);
    writeFileSync(path, "# moved\ndrop port=1-9999\ncount port=80");
    keeper.take(keeper.read());
    ask(keeper, 1);
    keeper.take(keeper.read());
    expect(keeper.counts()).toEqual([
      { line: 2, text: "drop port=1-9999", count: 3 },
      { line: 3, text: "count port=80", count: 0 },
    ]);
  });

  test("refuses a file with bad lines as a whole, and names them", () => {
    const keeper = keeperOf("drop port=1\ndrop\n\nallow port=2");
    expect(() => keeper.read()).toThrow(
      `TRACKER_RULES_FILE ${path}: line 2 has no condition, so it would match every request; ` +
        'line 4 begins with "allow": write refuse, drop or count',
    );
    expect(keeper.shared.rules).toEqual([]);
  });

  test("names five bad lines, and says how many more there are", () => {
    const keeper = keeperOf("drop\n".repeat(8));
    expect(() => keeper.read()).toThrow(/line 5 has no condition[^;]*; 3 more$/);
  });

  test.each([
    ["missing", "is not there"],
    ["folder", "cannot be read (not a file)"],
  ])("says why a file that is %s was not read", (name, reason) => {
    mkdirSync(join(directory, "folder"), { recursive: true });
    const keeper = new RuleKeeper(join(directory, name), 1);
    expect(() => keeper.read()).toThrow(`which ${reason}`);
  });

  test("does not read a file that is far too large", () => {
    const keeper = keeperOf(" ".repeat(1024 * 1024 + 1));
    expect(() => keeper.read()).toThrow("which cannot be read (over 1MiB)");
  });
});
