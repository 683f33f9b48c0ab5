/** Dependencies of an admin handler that a test does not care about. */
import { OwnNames } from "../../src/net/own-names.ts";

export const ADMIN = {
  now: () => 0,
  ready: () => true,
  names: new OwnNames([]),
  refused: () => {},
  pages: {},
  swarms: () => Promise.resolve([404, "no swarms"] as const),
};
