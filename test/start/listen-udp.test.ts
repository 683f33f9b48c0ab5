/** UDP threads that cannot go on. Linux only: elsewhere there are none. */
import { expect, test } from "bun:test";
import { listenUdp } from "../../src/start/listen-udp.ts";
import type { Program } from "../../src/start/program.ts";
import { openLibc } from "../../src/udp/libc.ts";
import { sharedBy } from "../udp/fixture.ts";

const libc = openLibc();
const WORKER = new URL("../../src/udp/worker.ts", import.meta.url).href;

const shared = sharedBy(2);

test.if(libc !== undefined)(
  "a thread whose socket is of no use ends the program, and one line says what the system said",
  async () => {
    const { promise: reason, resolve } = Promise.withResolvers<string>();
    const threads: Worker[] = [];
    const spawn = (): Worker => {
      threads.push(new Worker(WORKER));
      return threads[0];
    };
    const config = { udpWorkers: 1, udpReceiveBufferBytes: 65_536 };
    // Numbers of sockets are never negative: this one is none.
    const withoutSocket = Object.assign(Object.create(libc!), {
      bindUdp: () => -1,
      setReceiveBuffer: () => 65_536,
      setReceiveTimeout: () => {},
      ignoreUnreachable: () => {},
    });
    const program = { config, libc: withoutSocket, shared, workers: [], spawn, fail: resolve };
    await listenUdp({ host: "127.0.0.1", port: 1 }, program as unknown as Program);
    expect(await reason).toBe("a UDP worker failed: recvmmsg: errno 9");
    threads[0].terminate();
  },
);
