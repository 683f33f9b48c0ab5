import { expect, spyOn, test } from "bun:test";
import { compileAsUsual } from "../../src/host/compiling.ts";

test("compiling as usual sets the engine's own thresholds", () => {
  const policy = spyOn(Bun.unsafe, "setJITPolicy");
  try {
    compileAsUsual();
    expect(policy.mock.calls).toEqual([[1]]);
  } finally {
    policy.mockRestore();
  }
});
