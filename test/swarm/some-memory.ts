/** Memory of swarms for tests that do not depend on its size and times. */
import {
  reserveSwarmMemory,
  type SwarmMemory,
  type SwarmSettings,
} from "../../src/swarm/memory.ts";
import { fixedKeys } from "./fixture.ts";

/**
 * 16 MiB for one thread, with the default times, but for `changes`. What fails once fails again.
 */
export function someMemory(
  changes: Partial<SwarmSettings> = {},
  keys: Int32Array = fixedKeys(),
): SwarmMemory {
  const settings = { memoryMax: 16 * 2 ** 20, peerTimeout: 2700, downloadsTimeout: 86_400 };
  return reserveSwarmMemory({ ...settings, threads: false, ...changes }, keys);
}
