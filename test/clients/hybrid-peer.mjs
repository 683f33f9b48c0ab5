/**
 * A WebTorrent client in node, with the WebRTC of `@roamhq/wrtc`. It does what a page of browsers.ts
 * does, and tells the same server what happens:
 *
 *   node hybrid-peer.mjs http://127.0.0.1:PORT seed|leech WS_URL [MAGNET]
 */
import { createHash, randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import wrtc from "@roamhq/wrtc";
import WebTorrent from "webtorrent";

const [server, role, tracker, magnet] = process.argv.slice(2);
/** Of this client alone. By default all clients of the machine share one. */
const path = tmpdir();
const client = new WebTorrent({
  ...{ dht: false, lsd: false, webSeeds: false, utp: false },
  tracker: { wrtc, rtcConfig: { iceServers: [] } },
});
const say = (what, body) => fetch(`${server}/say?${what}`, { method: "POST", body });
const sha256 = (bytes) => String(new Uint8Array(createHash("sha256").update(bytes).digest()));
client.on("error", (error) => say("error", String(error)));

if (role === "seed") {
  const bytes = randomBytes(1024 * 1024);
  const name = `payload-${Math.random()}.bin`;
  bytes.name = name;
  const seed = client.seed(bytes, { announce: [tracker], name, path, private: true });
  // With the callback of seed() the first of these would be missed.
  seed.on("trackerAnnounce", () => say("announced", ""));
  seed.on("warning", (warning) => say("warning", String(warning)));
  seed.on("seed", async () => {
    await say("hash", seed.infoHash);
    await say("sum", sha256(bytes));
    await say("file", seed.torrentFile);
  });
} else {
  const source = magnet ?? Buffer.from(await (await fetch(`${server}/file`)).arrayBuffer());
  const leech = client.add(source, { announce: [tracker], path });
  leech.on("warning", (warning) => say("warning", String(warning)));
  leech.on("wire", (wire) => say("wire", wire.type));
  leech.on("done", () => {
    leech.files[0].getBuffer(async (_error, bytes) => {
      await say("received", String(leech.received));
      await say("done", sha256(bytes));
    });
  });
}
