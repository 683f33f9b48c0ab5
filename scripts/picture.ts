/**
 * The picture of the page in the README: starts the tracker, sends it traffic for a minute and a
 * half, and takes the picture with headless Chromium.
 *
 * `make picture` runs this. It needs Chromium and the port 6969, because the page shows the port.
 * The traffic is generated: peers at loopback addresses over UDP, and at documentation addresses
 * [RFC 3849] over HTTP, as from behind a proxy.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { announceRequest, openDatagrams } from "../test/e2e/datagrams.ts";
import { startTracker } from "../test/e2e/harness.ts";

const PICTURE = resolve(import.meta.dir, "../docs/page.png");
const NAME = "tracker.example.org";
const PORT = 6969;

/** The curve begins with slots of five seconds: this fills eighteen. */
const TRAFFIC_SECONDS = 90;
const STEP_SECONDS = 0.1;
/** Announces per second: the mean and the amplitude of a wave. */
const RATE_MEAN = 2000;
const RATE_WAVE = 600;
const WAVE_SECONDS = 50;
const HTTP_SHARE = 0.04;
const IPV6_SHARE = 0.3;
const SEEDER_SHARE = 0.6;
const SWARMS = 40_000;

/** Size of the page in CSS pixels, and device pixels for each. */
const WIDTH = 880;
const HEIGHT = 930;
const SCALE = 1.25;

const chromium = Bun.which("chromium") ?? Bun.which("chromium-browser");
if (chromium === null) throw new Error("install chromium, which takes the picture");

await using tracker = await startTracker({
  port: PORT,
  env: {
    TRACKER_PUBLIC_NAME: NAME,
    TRACKER_TRUSTED_PROXIES: "127.0.0.1",
    TRACKER_MEMORY_MAX: "64MiB",
  },
});
await sendTraffic();
await takePicture();

/** Announces at a rate that rises and falls. */
async function sendTraffic(): Promise<void> {
  using ipv4 = await openDatagrams("127.0.0.1", PORT);
  using ipv6 = await openDatagrams("::1", PORT);
  const [idIpv4, idIpv6] = [await ipv4.connect(), await ipv6.connect()];
  const began = performance.now();
  for (let seconds = 0; seconds < TRAFFIC_SECONDS; seconds += STEP_SECONDS) {
    const rate = RATE_MEAN + RATE_WAVE * Math.sin((2 * Math.PI * seconds) / WAVE_SECONDS);
    for (let sent = 0; sent < rate * STEP_SECONDS; sent += 1) {
      const peer = { infoHash: someInfoHash(), port: somePort(), left: someLeft() };
      if (Math.random() < HTTP_SHARE) void announceOverHttp(peer);
      else if (Math.random() < IPV6_SHARE) {
        ipv6.send(announceRequest({ connectionId: idIpv6, ...peer }));
      } else ipv4.send(announceRequest({ connectionId: idIpv4, ...peer }));
    }
    await Bun.sleep(began + (seconds + STEP_SECONDS) * 1000 - performance.now());
  }
}

async function announceOverHttp(peer: {
  infoHash: Uint8Array;
  port: number;
  left: number;
}): Promise<void> {
  const hash = peer.infoHash.toHex().replace(/../g, "%$&");
  const query = `info_hash=${hash}&port=${peer.port}&left=${peer.left}&compact=1`;
  const address = `2001:db8::${Math.floor(Math.random() * 0xffff).toString(16)}`;
  const headers = { "X-Forwarded-For": address };
  await (await fetch(`http://127.0.0.1:${PORT}/announce?${query}`, { headers })).bytes();
}

/** Some swarms are much larger than others. */
function someInfoHash(): Uint8Array {
  const hash = new Uint8Array(20).fill(1);
  new DataView(hash.buffer).setUint32(0, Math.floor(SWARMS * Math.random() ** 3));
  return hash;
}

function somePort(): number {
  return 1024 + Math.floor(Math.random() * 60_000);
}

function someLeft(): number {
  return Math.random() < SEEDER_SHARE ? 0 : 1;
}

async function takePicture(): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), "picture-"));
  const options = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    `--user-data-dir=${profile}`,
    `--window-size=${WIDTH},${HEIGHT}`,
    `--force-device-scale-factor=${SCALE}`,
    `--screenshot=${PICTURE}`,
  ];
  const command = [chromium!, ...options, `http://127.0.0.1:${PORT}/`];
  const browser = Bun.spawn(command, { stdio: ["ignore", "ignore", "ignore"] });
  const code = await browser.exited;
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  if (code !== 0) throw new Error(`${chromium} ended with exit code ${code}`);
  console.log(`${PICTURE}: ${(Bun.file(PICTURE).size / 1000).toFixed(0)} KB`);
}
