import { expect, test } from "bun:test";
import { Machine } from "../../src/host/machine.ts";
import { connectionsFor } from "../../src/start/program.ts";

/** A machine on which so many files may be open; undefined where it does not tell. */
function machineWith(limit: number | undefined): Machine {
  const files = limit === undefined ? undefined : { open: 10, limit };
  return Object.assign(new Machine(), { files: () => files });
}

test.each([
  [1024, undefined, 960],
  [1_000_000, undefined, 65_536],
  [undefined, undefined, 960],
  [10, undefined, 1],
  [1024, 500, 500],
  [1024, 100_000, 960],
  [Infinity, 100_000, 100_000],
  [undefined, 100_000, 100_000],
])("with %p files and %p connections wanted there may be %p", (limit, wanted, allowed) => {
  expect(connectionsFor(machineWith(limit), wanted)).toBe(allowed);
});
