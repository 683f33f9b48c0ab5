import { expect, test } from "bun:test";
import { EXIT_CONFIG, EXIT_FAILED } from "../../src/constants.ts";
import { StartError } from "../../src/host/start-error.ts";

test("a problem of the settings has the exit code that forbids another start", () => {
  const error = new StartError("the port is taken", "choose another");
  expect([error.message, error.hint, error.exitCode]).toEqual([
    "the port is taken",
    "choose another",
    EXIT_CONFIG,
  ]);
  expect(new StartError("", "", EXIT_FAILED).exitCode).toBe(EXIT_FAILED);
});
