/** WebSockets through the real proxies, with the files that we ship. */
import { expect, test } from "bun:test";
import { until } from "../until.ts";
import { startTracker } from "./harness.ts";
import { isInstalled, PROXIES, startProxy } from "./real-proxies.ts";
import { WsClient } from "./ws-client.ts";

for (const name of PROXIES) {
  test.if(isInstalled(name))(`${name} lets the upgrade through, and names the client`, async () => {
    await using tracker = await startTracker({ env: { TRACKER_TRUSTED_PROXIES: "127.0.0.1" } });
    await using proxy = await startProxy(name, tracker.port);
    const url = `ws://127.0.0.1:${proxy.port}/announce`;
    const client = await WsClient.open(url, "-WW0208-aaaaaaaaaaaa");
    expect(await client.announce({ left: 0 })).toMatchObject({ complete: 1, incomplete: 0 });
    expect(await client.announce({ event: "stopped" })).toMatchObject({ complete: 0 });
    client.close();
    await until(() => client.closeCode !== undefined);
    expect(await proxy.isHealthy()).toBe(true);
  });
}
