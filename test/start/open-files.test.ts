/** How many HTTP connections open files leave, and when the start is refused for want of them. */
import { expect, test } from "bun:test";
import { connectionsFor, type FilesConfig } from "../../src/start/open-files.ts";
import { StartError } from "../../src/host/start-error.ts";

const AT = { host: "127.0.0.1", port: 6969 };

/** Settings as they are by default: one address of each kind and one UDP worker. */
function settings(changes: Partial<FilesConfig> = {}): FilesConfig {
  const http = [{ ...AT, tls: undefined }];
  const usual = { udpListeners: [AT], httpListeners: http, adminListeners: [AT], udpWorkers: 1 };
  return { ...usual, ...changes };
}

/** A machine on which so many files may be open and eight are; undefined where it does not tell. */
function machine(limit: number | undefined, open: number | undefined = 8) {
  const files = limit === undefined ? undefined : { open, limit };
  return { files: () => files, filesLimit: () => limit };
}

test.each([
  [1024, undefined, 866],
  [1_000_000, undefined, 65_536],
  [undefined, undefined, 858],
  [64, undefined, 18],
  [1024, 500, 500],
  [1024, 100_000, 866],
  [Infinity, 100_000, 100_000],
  [undefined, 100_000, 100_000],
])("with %p files and %p connections wanted there may be %p", (limit, wanted, allowed) => {
  const config = settings({ httpConnectionsMax: wanted });
  expect(connectionsFor(machine(limit), config, true).http).toBe(allowed);
});

test.each([
  [{ udpWorkers: 32 }, 866 - 31 * 3],
  [{ udpWorkers: 0 }, 866 + 2],
  [{ udpWorkers: 32, udpListeners: [AT, AT, AT] }, 866 - 95 * 3],
  [{ udpListeners: [] }, 866 + 3],
  [{ adminListeners: [] }, 866 + 1 + 128],
])("with %j each thread, socket and operator has its files first", (changes, allowed) => {
  expect(connectionsFor(machine(1024), settings(changes), true).http).toBe(allowed);
});

test.each([
  [64, 16],
  [256, 32],
  [1024, 128],
  [524_288, 256],
])("of %p files the operator's connections may have %p", (limit, allowed) => {
  expect(connectionsFor(machine(limit), settings(), true).operator).toBe(allowed);
});

test("where UDP has no threads, workers take no files", () => {
  expect(connectionsFor(machine(64), settings({ udpWorkers: 64 }), false).http).toBe(20);
});

test("what a parent left open counts as well", () => {
  expect(connectionsFor(machine(1024, 108), settings(), true).http).toBe(866 - 100);
});

test("too few files are one sentence that names how many it takes, and so many do", () => {
  const config = settings({ udpWorkers: 64 });
  let told: unknown;
  try {
    connectionsFor(machine(128), config, true);
  } catch (error) {
    told = error;
  }
  expect(told).toBeInstanceOf(StartError);
  const { message, hint } = told as StartError;
  expect(message).toBe("only 128 files may be open, and these settings need 243");
  expect(hint).toContain("ulimit -n 243");
  expect(connectionsFor(machine(243), config, true)).toEqual({ http: 8, operator: 16 });
  expect(() => connectionsFor(machine(242), config, true)).toThrow(StartError);
});

test("without HTTP no connection needs to be left", () => {
  const config = settings({ httpListeners: [], adminListeners: [] });
  expect(connectionsFor(machine(27), config, true)).toEqual({ http: 0, operator: 0 });
  expect(() => connectionsFor(machine(26), config, true)).toThrow("27");
});
