/** A tracker and a seeder behind one NAT, with the compiled binary: who is outside can reach it. */
import { describe, expect, test } from "bun:test";
import { decodeDictionary } from "./bencode.ts";
import { announceRequest, openDatagrams, randomBytes, readAnnounceAnswer } from "./datagrams.ts";
import { SETTINGS, startTracker } from "./harness.ts";

describe.each(Object.entries(SETTINGS))("with %s", (_, env) => {
  test("peers at private addresses are stored and handed out under the external one", async () => {
    const external = { TRACKER_EXTERNAL_ADDRESS: "203.0.113.9,2001:db9::9" };
    await using tracker = await startTracker({ env: { ...env, ...external } });
    const infoHash = randomBytes(20);
    for (const [host, port] of [
      ["127.0.0.1", 6881],
      ["::1", 6882],
    ] as const) {
      using client = await openDatagrams(host, tracker.port);
      const connectionId = await client.connect();
      await client.exchange(announceRequest({ connectionId, infoHash, port }));
    }
    const escaped = [...infoHash].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
    const query = `info_hash=${escaped}&peer_id=${"p".repeat(20)}&port=6883&left=1`;
    const url = `http://127.0.0.1:${tracker.port}/announce?${query}`;
    const answer = decodeDictionary(await (await fetch(url)).bytes());
    const hex = (key: string) => Buffer.from(answer[key] as string, "latin1").toString("hex");
    expect(hex("peers")).toBe("cb0071091ae1");
    expect(hex("peers6")).toBe("20010db90000000000000000000000091ae2");
    expect(hex("external ip")).toBe("cb007109");
    // The peer is not handed to itself, and a stop removes it.
    using client = await openDatagrams("127.0.0.1", tracker.port);
    const connectionId = await client.connect();
    const ask = async (event: number) => {
      const request = announceRequest({ connectionId, infoHash, port: 6881, event });
      return readAnnounceAnswer((await client.exchange(request))[0]!, 6);
    };
    expect((await ask(0)).peers).toEqual(["203.0.113.9:6883"]);
    await ask(3);
    const after = decodeDictionary(await (await fetch(url)).bytes());
    expect(after["incomplete"]).toBe(2);
  });
});
