import { expect, test } from "bun:test";
import { listenEarly } from "../../src/start/early-signals.ts";

test("signals that come before the handler are handled later", async () => {
  const handled: string[] = [];
  const giveHandler = listenEarly("SIGUSR2");
  process.kill(process.pid, "SIGUSR2");
  await Bun.sleep(20);
  giveHandler(() => handled.push("handled"));
  expect(handled).toEqual(["handled"]);
  process.kill(process.pid, "SIGUSR2");
  await Bun.sleep(20);
  expect(handled).toEqual(["handled", "handled"]);
  process.removeAllListeners("SIGUSR2");
});
