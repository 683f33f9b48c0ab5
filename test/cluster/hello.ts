/** A hello of a tracker that has caught up. */
import type { Hello } from "../../src/cluster/wire.ts";

export const HELLO: Hello = {
  keepsSeconds: 2700,
  drains: false,
  behind: false,
  partial: false,
  upSeconds: 1_000_000,
  clockSeconds: 1_800_000_000,
  had: [],
  name: "b",
};
