/** WebSockets through the real proxies, with the files that we ship. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../http/openssl.ts";
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

for (const name of ["nginx", "haproxy"] as const) {
  const possible = isInstalled(name) && makeCertificate.possible;
  test.if(possible)(`${name} speaks TLS with the lines that its file has in comments`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "tls-proxy-"));
    try {
      const tls = makeCertificate(folder, "proxy");
      await using tracker = await startTracker({ env: { TRACKER_TRUSTED_PROXIES: "127.0.0.1" } });
      await using proxy = await startProxy(name, tracker.port, { tls });
      const url = `wss://127.0.0.1:${proxy.port}/announce`;
      const client = await WsClient.open(url, "-WW0208-aaaaaaaaaaaa");
      expect(await client.announce({ left: 0 })).toMatchObject({ complete: 1, incomplete: 0 });
      client.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
