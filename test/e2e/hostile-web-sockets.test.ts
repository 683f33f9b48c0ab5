/** Hostile WebSocket clients against the binary: each is bounded, and others are served. */
import { connect, type Socket } from "node:net";
import { expect, test } from "bun:test";
import { MIB, vitalsOf } from "../soak/vitals.ts";
import { until } from "../until.ts";
import { frame, framesOf, HASH, offersOf } from "../ws/fixture.ts";
import { upgradeText } from "../ws/upgrade.ts";
import { startTracker, type Tracker } from "./harness.ts";
import { WsClient } from "./ws-client.ts";

const UPGRADE = upgradeText();
const LINUX = process.platform === "linux";

/** A connection that sends bytes of its own behind the handshake. */
class Raw implements Disposable {
  readonly socket: Socket;
  closed = false;
  #got = Buffer.alloc(0);

  constructor(tracker: Tracker) {
    this.socket = connect(tracker.port, "127.0.0.1");
    this.socket.on("data", (bytes: Buffer) => (this.#got = Buffer.concat([this.#got, bytes])));
    this.socket.on("error", () => {});
    for (const event of ["end", "close"]) this.socket.on(event, () => (this.closed = true));
    this.socket.write(UPGRADE);
  }

  async opened(): Promise<this> {
    await until(() => this.#got.includes("\r\n\r\n"));
    expect(this.#got.toString()).toStartWith("HTTP/1.1 101 ");
    return this;
  }

  /** The frames that came. */
  get frames() {
    return framesOf(this.#got.subarray(this.#got.indexOf("\r\n\r\n") + 4));
  }

  /** The code of the close, once the connection has ended. */
  async code(): Promise<number> {
    await until(() => this.closed);
    const close = this.frames.find(({ opcode }) => opcode === 8);
    return close?.payload.readUInt16BE(0) ?? 0;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

const healthy = async (tracker: Tracker): Promise<boolean> =>
  (await fetch(`http://127.0.0.1:${tracker.port}/health`)).ok;

test("wrong messages and lengths end the connection, and the next client is served", async () => {
  await using tracker = await startTracker();
  const many = (one: Buffer) => Buffer.concat(Array.from({ length: 10_000 }, () => one));
  for (const [bytes, code] of [
    [many(frame("{}")), 1008],
    [many(frame("", { opcode: 0, fin: false })), 1002],
    [Buffer.concat([frame("", { fin: false }), many(frame("", { opcode: 0, fin: false }))]), 1009],
    [Buffer.of(0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0), 1009],
    [frame(`[${"[".repeat(60_000)}`), undefined],
  ] as const) {
    using raw = await new Raw(tracker).opened();
    raw.socket.write(bytes);
    if (code === undefined) await until(() => raw.frames.length === 1);
    else expect(await raw.code()).toBe(code);
    expect(await healthy(tracker)).toBe(true);
  }
  using raw = await new Raw(tracker).opened();
  raw.socket.write(many(frame("alive", { opcode: 9 })));
  raw.socket.write(frame("the last", { opcode: 9 }));
  await until(() => raw.frames.at(-1)?.payload.toString() === "the last");
  expect(raw.frames.length).toBeLessThan(2000);
});

test("half frames for ever hold no more memory than all connections may", async () => {
  await using tracker = await startTracker({ env: { TRACKER_MEMORY_MAX: "32MiB" } });
  const half = frame("x".repeat(64 * 1024)).subarray(0, 60_000);
  const raws = await Promise.all(Array.from({ length: 300 }, () => new Raw(tracker).opened()));
  for (const raw of raws) raw.socket.write(half);
  await Bun.sleep(300);
  expect(await healthy(tracker)).toBe(true);
  if (LINUX) expect(vitalsOf(tracker.pid).residentBytes).toBeLessThan(200 * MIB);
  for (const raw of raws) raw[Symbol.dispose]();
  expect(await healthy(tracker)).toBe(true);
});

test("a client that does not read is passed over, and costs others nothing", async () => {
  await using tracker = await startTracker({ env: { TRACKER_MEMORY_MAX: "32MiB" } });
  using deaf = await new Raw(tracker).opened();
  const announce = {
    action: "announce",
    info_hash: HASH,
    peer_id: "-WW0208-deafdeafdeaf",
    left: 1,
  };
  deaf.socket.write(frame(JSON.stringify(announce)));
  await until(() => deaf.frames.length === 1);
  deaf.socket.pause();
  const client = await WsClient.open(`ws://127.0.0.1:${tracker.port}/`, "-WW0208-aaaaaaaaaaaa");
  const sdp = "x".repeat(5000);
  const offers = offersOf(10).map((offer) => ({ ...offer, offer: { type: "offer", sdp } }));
  for (let i = 0; i < 300; i++) expect((await client.announce({ offers }))["incomplete"]).toBe(2);
  if (LINUX) expect(vitalsOf(tracker.pid).residentBytes).toBeLessThan(160 * MIB);
  client.close();
});
