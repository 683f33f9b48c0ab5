import { expect, test } from "bun:test";
import { EXIT_CONFIG, EXIT_FAILED } from "../../src/constants.ts";
import { StartError } from "../../src/host/start-error.ts";

test("what the settings say or name ends with the code that forbids to try again", () => {
  const error = new StartError("the port is taken", "choose another");
  expect([error.message, error.hint, error.exitCode]).toEqual([
    "the port is taken",
    "choose another",
    EXIT_CONFIG,
  ]);
  expect(new StartError("", "", EXIT_FAILED).exitCode).toBe(EXIT_FAILED);
});
