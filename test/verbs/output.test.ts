/** What a verb prints. */
import { expect, test } from "bun:test";

import { errorLines } from "../../src/verbs/output.ts";

test("a message has an error line, and a hint line if there is a hint", () => {
  expect(errorLines("port taken")).toBe("buntracker: error: port taken\n");
  expect(errorLines("port taken", "try another")).toBe(
    "buntracker: error: port taken\nbuntracker: hint: try another\n",
  );
});
