/** The limit of HTTP connections from open files, and starts that are refused for too few. */
import { expect, test } from "bun:test";
import { connectionsFor, type FilesConfig } from "../../src/start/open-files.ts";
import { StartError } from "../../src/host/start-error.ts";

const AT = { host: "127.0.0.1", port: 6969 };

/** The default settings: one address of each kind and one UDP worker. */
function settings(changes: Partial<FilesConfig> = {}): FilesConfig {
  const http = [{ ...AT, tls: undefined }];
  const usual = {
    udpListeners: [AT],
    httpListeners: http,
    adminListeners: [AT],
    udpWorkers: 1,
    httpWorkers: 0,
  };
  return { ...usual, ...changes };
}

/** A machine with this limit of files, and eight open ones; undefined if it does not tell. */
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
  // A third of what is left without 2 threads, their listeners, and the private socket.
  [{ httpWorkers: 2 }, Math.floor((866 - 2 * 2 - 2 - 1 - 256) / 3)],
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

test("without UDP threads, workers need no files", () => {
  expect(connectionsFor(machine(64), settings({ udpWorkers: 64 }), false).http).toBe(20);
});

test("files that a parent process left open count too", () => {
  expect(connectionsFor(machine(1024, 108), settings(), true).http).toBe(866 - 100);
});

test("too few files are an error that names the number needed, which is enough", () => {
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

test("without HTTP no files are needed for connections", () => {
  const config = settings({ httpListeners: [], adminListeners: [] });
  expect(connectionsFor(machine(27), config, true)).toEqual({ http: 0, operator: 0 });
  expect(() => connectionsFor(machine(26), config, true)).toThrow("27");
});
