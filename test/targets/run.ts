/**
 * Runs the binaries for other machines that can be run here: `make test-targets`, which has
 * compiled them. Fetches what they need, and exits 1 where something is missing: a binary that was
 * not run is not good. Takes a minute.
 */
import { NATS_SERVER } from "../cluster/nats.ts";
import { MACHINES } from "./machines.ts";
import { fetchMusl } from "./musl.ts";

/** An emulator is some ten times as slow, and needs seconds to start. */
const TEST_MILLISECONDS_MAX = "120000";

if (NATS_SERVER === null) {
  console.error(
    "targets: bad: no binary can say hello to a cluster, because nats-server is missing",
  );
  process.exit(1);
}
fetchMusl();
for (const { target, missing } of MACHINES) {
  const what = missing();
  if (what === undefined) continue;
  console.error(`targets: bad: ${target} was not run, because ${what} is missing`);
  process.exit(1);
}
const { exitCode } = Bun.spawnSync(
  [process.execPath, "test", "--timeout", TEST_MILLISECONDS_MAX, import.meta.dir],
  {
    env: { ...process.env, BUNTRACKER_TARGETS: "1" },
    stdio: ["ignore", "inherit", "inherit"],
  },
);
process.exit(exitCode);
