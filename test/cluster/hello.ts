/** A hello of a tracker that has caught up. */
import type { Hello } from "../../src/cluster/wire.ts";

export const HELLO: Hello = {
  keepsSeconds: 2700,
  drains: false,
  behind: false,
  partial: false,
  had: [],
  name: "b",
};
