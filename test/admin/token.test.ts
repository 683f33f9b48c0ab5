/** The operator's token. */
import { expect, test } from "bun:test";

import { Token } from "../../src/admin/token.ts";

const SECRET = "correct-horse-battery";

test.each([[`Bearer ${SECRET}`], [`bearer ${SECRET}`], [`Bearer   ${SECRET} `]])(
  "%j is good",
  (header) => {
    expect(new Token(SECRET).judge(header)).toBe("good");
  },
);

test.each([
  [null],
  [""],
  ["Bearer"],
  ["Bearer "],
  [SECRET],
  [`Basic ${SECRET}`],
  [`Bearer ${SECRET}x`],
  [`Bearer ${SECRET.slice(1)}`],
  [`Bearer ${SECRET.toUpperCase()}`],
  [`Bearer ${SECRET} ${SECRET}`],
])("%j is wrong", (header) => {
  expect(new Token(SECRET).judge(header)).toBe("wrong");
});

test("without a secret nobody is let in, whatever is shown", () => {
  for (const header of [null, "", "Bearer ", "Bearer undefined", `Bearer ${SECRET}`]) {
    expect(new Token(undefined).judge(header)).toBe("no token is set");
  }
});
