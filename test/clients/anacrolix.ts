/**
 * The `torrent` command of github.com/anacrolix/torrent, which Go builds from the module of that
 * name into `.tools/`, since Debian has no package of it.
 */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { searchPath } from "./hosts.ts";

/** The newest that could be had: 1.62.0 asks for a version of go-utp that is not to be had. */
export const ANACROLIX_VERSION = "v1.59.1";

const DIRECTORY = resolve(import.meta.dir, `../../.tools/anacrolix-${ANACROLIX_VERSION}`);

/** Where `buildAnacrolix` leaves the command. */
export const ANACROLIX_BINARY = `${DIRECTORY}/torrent`;

/** Builds the command, unless that has been done; throws what Go says when it cannot. */
export async function buildAnacrolix(): Promise<void> {
  if (existsSync(ANACROLIX_BINARY)) return;
  const command = `github.com/anacrolix/torrent/cmd/torrent@${ANACROLIX_VERSION}`;
  const go = Bun.spawn(["go", "install", command], {
    // Without C nothing but Go is needed.
    env: { ...process.env, PATH: searchPath(), GOBIN: DIRECTORY, GOFLAGS: "", CGO_ENABLED: "0" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = await go.stderr.text();
  if ((await go.exited) !== 0) throw new Error(`go install: ${said.trim().split("\n").at(-1)}`);
}
