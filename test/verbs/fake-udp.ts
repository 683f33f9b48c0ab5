/** A UDP tracker of a few lines, whose answers a test can change. */

/** Answers for the actions connect, announce and scrape, without their first eight bytes. */
export type FakeAnswers = (action: number, request: Buffer) => Buffer | undefined;

const CONNECTED = Buffer.alloc(8, 7);
/** Interval 1800, no leechers, one seeder, and the peer 127.0.0.1:258. */
const ANNOUNCED = Buffer.from("00000708" + "00000000" + "00000001" + "7f0000010102", "hex");

/** The answers of a good tracker. */
export function goodAnswer(action: number): Buffer | undefined {
  return [CONNECTED, ANNOUNCED, Buffer.from("000000010000000000000001", "hex")][action];
}

/** Listens on its own port; actions that are undefined in `answers` get no answer. */
export async function fakeUdp(answers: FakeAnswers = goodAnswer) {
  const requests: Buffer[] = [];
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data(from, request, port, address) {
        requests.push(Buffer.from(request));
        const action = request.readUInt32BE(8);
        const body = answers(action, request);
        if (body === undefined) return;
        const head = Buffer.alloc(8);
        head.writeUInt32BE(action);
        request.copy(head, 4, 12, 16);
        from.send(Buffer.concat([head, body]), port, address);
      },
    },
  });
  return { port: socket.port, requests, close: () => socket.close() };
}
