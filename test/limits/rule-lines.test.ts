import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readRules, type Rule } from "../../src/limits/rule-lines.ts";

/** The only rule of a valid text. */
function readOne(text: string): Rule {
  const { rules, problems } = readRules(text);
  expect(problems).toEqual([]);
  expect(rules).toHaveLength(1);
  return rules[0];
}

describe("a rule", () => {
  test("has an action and conditions", () => {
    expect(
      readOne('refuse "go away" network=203.0.113.77/24 port=1-1023 peer-id=-X%00 user-agent=Bad*'),
    ).toEqual({
      text: 'refuse "go away" network=203.0.113.77/24 port=1-1023 peer-id=-X%00 user-agent=Bad*',
      line: 1,
      action: "refuse",
      message: "go away",
      network: {
        family: 4,
        bytes: new Uint8Array([203, 0, 113, 0]),
        mask: new Uint8Array([255, 255, 255, 0]),
      },
      ports: { first: 1, last: 1023 },
      peerId: new Uint8Array([45, 88, 0]),
      headers: [{ name: "user-agent", text: "bad", openStart: false, openEnd: true }],
    });
  });

  test.each([
    ["Foo", { text: "foo", openStart: false, openEnd: false }],
    ["*Foo", { text: "foo", openStart: true, openEnd: false }],
    ["Foo*", { text: "foo", openStart: false, openEnd: true }],
    ["*Foo*", { text: "foo", openStart: true, openEnd: true }],
    ["*", { text: "", openStart: true, openEnd: false }],
    ['""', { text: "", openStart: false, openEnd: false }],
    ['"a b"', { text: "a b", openStart: false, openEnd: false }],
    ['"say \\"a\\""', { text: 'say "a"', openStart: false, openEnd: false }],
    ["a=b", { text: "a=b", openStart: false, openEnd: false }],
  ])("may ask of a header that it is %s", (value, expected) => {
    const [condition] = readOne(`drop header:X-Thing=${value}`).headers;
    expect(condition).toEqual({ name: "x-thing", ...expected });
  });

  test("may have conditions on several headers", () => {
    const { headers } = readOne("count header:a=1 header:b=2 user-agent=3");
    expect(headers.map(({ name }) => name)).toEqual(["a", "b", "user-agent"]);
  });

  test.each([
    ["2001:db8::/33", "20010db8000000000000000000000000", "ffffffff800000000000000000000000"],
    ["2001:db8::7", "20010db8000000000000000000000007", "ffffffffffffffffffffffffffffffff"],
    ["0.0.0.0/0", "00000000", "00000000"],
    ["10.255.0.0/9", "0a800000", "ff800000"],
    ["::ffff:10.0.0.0/104", "0a000000", "ff000000"],
  ])("names the network %s by address and mask", (text, bytes, mask) => {
    const { network } = readOne(`drop network=${text}`);
    expect([network?.bytes.toHex(), network?.mask.toHex()]).toEqual([bytes, mask]);
  });
});

test("comments and empty lines are not rules, but count in line numbers", () => {
  const { rules, problems } = readRules("\ufeff# a comment\r\n\r\n  drop port=1\r\n\tcount port=2");
  expect(problems).toEqual([]);
  expect(rules.map(({ line, text }) => [line, text])).toEqual([
    [3, "drop port=1"],
    [4, "count port=2"],
  ]);
});

test.each([
  ["# rules\rdrop port=1", "has a CR inside: end lines with LF"],
  ["drop port=1\rport=2", "has a CR inside: end lines with LF"],
  ["deny port=1", 'begins with "deny": write refuse, drop or count'],
  ["drop", "has no condition, so it would match every request"],
  ['refuse "no"', "has no condition, so it would match every request"],
  ["refuse port=1", 'has no message: write refuse "text" and the conditions'],
  ["refuse", 'has no message: write refuse "text" and the conditions'],
  ['refuse "" port=1', "has a message that clients cannot show: write 1 to 200 ASCII characters"],
  ['refuse "ä" port=1', "has a message that clients cannot show: write 1 to 200 ASCII characters"],
  [
    `refuse "${"x".repeat(201)}" port=1`,
    "has a message that clients cannot show: write 1 to 200 ASCII characters",
  ],
  ['drop user-agent="x', "has a quote that does not end"],
  ["drop everything", 'has "everything", which is not a condition: write name=value'],
  [
    "drop agent=x",
    'has "agent", which is not a condition: ' +
      "write network, port, peer-id, user-agent or header:NAME",
  ],
  ["drop network=10.0.0.0/33", 'has network="10.0.0.0/33": write 203.0.113.0/24 or 2001:db8::/32'],
  ["drop network=", 'has network="": write 203.0.113.0/24 or 2001:db8::/32'],
  ["drop port=65536", 'has port="65536": write 6881 or 1-1023'],
  ["drop port=9-8", 'has port="9-8": write 6881 or 1-1023'],
  ["drop peer-id=", 'has peer-id="": write -XX or M%00'],
  ["drop port=1 port=2", "names port twice: write two lines"],
  ["drop header:=x", 'has "", which is not the name of a header'],
  ["drop user-agent=a*b", 'has a star inside "a*b": use stars at the ends only'],
])("%s is no rule, and why is said with its line", (line, problem) => {
  expect(readRules(`# first\n${line}\n`)).toEqual({ rules: [], problems: [`line 2 ${problem}`] });
});

test("a repeated rule is a problem", () => {
  expect(readRules("drop port=1\ndrop port=1").problems).toEqual(["line 2 repeats line 1"]);
});

test("more than 256 rules are too many", () => {
  const text = Array.from({ length: 257 }, (_, i) => `drop port=${i}`).join("\n");
  expect(readRules(text).problems).toEqual(["257 rules are too many: keep 256"]);
});

test("no text throws an exception", () => {
  const part = fc.constantFrom("drop", " ", '"', "\\", "=", "*", "port", "\n", "network", "1", "/");
  fc.assert(
    fc.property(fc.string({ unit: part, maxLength: 40 }), (text) => {
      const lines = text.split("\n").filter((line) => line.trim() !== "").length;
      const { rules, problems } = readRules(text);
      expect(rules.length + problems.length).toBe(lines);
    }),
  );
});
