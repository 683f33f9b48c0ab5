/**
 * Attacks over WebSocket: connections that send as much as the tracker takes.
 *
 * The claim it defends: announces over HTTP are answered within 50 ms meanwhile.
 *
 *   bun test/bench/ws-attack.ts --port 6969 --kind pings --seconds 5
 *
 *   nothing     no attack: what the machine does to HTTP
 *   pings       10,000 pings in one write
 *   wrong       messages that are no announces, 15 in a row, then one that is
 *   fragments   messages of one-byte fragments, as many as may be
 *   long        messages of 64 KiB that are dear to parse
 *   offers      announces with ten offers to others, none of whom reads
 *
 * A connection that the tracker closes is made anew. Prints how many bytes were sent a second.
 */
import type { Socket } from "bun";
import { frame, offersOf } from "../ws/fixture.ts";
import { upgradeText } from "../ws/upgrade.ts";
import { readOptions, tellReport } from "./options.ts";

const CONNECTIONS = 16;

const UPGRADE = upgradeText();

/** An announce of the connection of that number. */
function announce(number: number, offers: unknown[] = []): Buffer {
  const peerId = `-WW0208-${String(number).padStart(12, "0")}`;
  const members = { info_hash: "h".repeat(20), peer_id: peerId, left: 1 };
  return frame(JSON.stringify({ action: "announce", ...members, offers }));
}

const times = (count: number, bytes: Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => bytes));

/** What a connection sends again and again. */
const KINDS: Record<string, (number: number) => Buffer> = {
  nothing: () => Buffer.alloc(0),
  pings: () => times(10_000, frame("", { opcode: 9 })),
  wrong: (number) => Buffer.concat([times(15, frame("{}")), announce(number)]),
  fragments: (number) => {
    const rest = times(62, frame(" ", { opcode: 0, fin: false }));
    const last = frame("{}", { opcode: 0 });
    return Buffer.concat([frame(" ", { fin: false }), rest, last, announce(number)]);
  },
  long: (number) => Buffer.concat([frame(`${"[".repeat(60_000)}`), announce(number)]),
  offers: (number) => announce(number, offersOf(10)),
};

export const ATTACKS = Object.keys(KINDS);

const options = { port: 6969, kind: "pings", seconds: 5 };

interface Sending {
  bytes: Buffer;
  at: number;
}

async function attack({ port, kind, seconds }: typeof options) {
  const until = performance.now() + seconds * 1000;
  let sent = 0;
  const pump = (socket: Socket<Sending>): void => {
    const { data } = socket;
    while (data.bytes.length > 0 && performance.now() < until) {
      const count = socket.write(data.bytes, data.at, data.bytes.length - data.at);
      if (count <= 0) return;
      sent += count;
      data.at = (data.at + count) % data.bytes.length;
    }
  };
  const open = async (number: number): Promise<void> => {
    while (performance.now() < until) {
      const ended = Promise.withResolvers<void>();
      const data = { bytes: KINDS[kind]!(number), at: 0 };
      const socket = await Bun.connect<Sending>({
        hostname: "127.0.0.1",
        port,
        data,
        socket: {
          data: () => {},
          drain: pump,
          close: () => ended.resolve(),
          error: () => ended.resolve(),
        },
      });
      socket.write(UPGRADE);
      if (kind === "offers") socket.pause();
      pump(socket);
      await Promise.race([ended.promise, Bun.sleep(until - performance.now())]);
      socket.terminate();
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, number) => open(number)));
  return { mb_a_second: sent / seconds / 1e6 };
}

if (import.meta.main) {
  const report = await attack(readOptions(options));
  tellReport(() => report);
}
