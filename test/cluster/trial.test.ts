/** A trial of a NATS server says what is wrong with it, or who is heard there. */
import { describe, expect, test } from "bun:test";
import { NatsLink } from "../../src/cluster/link.ts";
import { tryEngine } from "../../src/cluster/trial.ts";
import { helloMessage } from "../../src/cluster/wire.ts";
import { freePort } from "../e2e/harness.ts";
import { HELLO } from "./hello.ts";
import { NATS_SERVER, NatsServer } from "./nats.ts";

const MINUTE = 60_000;
const OPTIONS = { login: {}, name: "x", node: "check" };
const at = (port: number) => {
  return { host: "127.0.0.1", port, tls: false, user: undefined, password: undefined };
};
const USERS = `authorization { users: [{
  user: "u", password: "p2", permissions: { publish: "buntracker.x.>", subscribe: "buntracker.x.>" }
}] }`;

test("a server that is not there is one to start", async () => {
  const port = freePort();
  const { problem, nodes } = await tryEngine(at(port), OPTIONS);
  expect(problem?.remedy).toBe(`start a NATS server at 127.0.0.1:${port}`);
  expect(problem?.answered).toBe(false);
  expect(nodes).toEqual([]);
});

describe.if(NATS_SERVER !== null)("a server that is there", () => {
  test("is right if it starts a moment later", async () => {
    const port = freePort();
    const trial = tryEngine(at(port), OPTIONS);
    await Bun.sleep(700);
    await using server = await NatsServer.start("", port);
    expect(server.port).toBe(port);
    expect((await trial).problem).toBeUndefined();
  });

  test(
    "is right, and the trackers that say hello there are named once",
    async () => {
      await using server = await NatsServer.start();
      const heard: Uint8Array[] = [];
      const origin = "00000000000000bb";
      const events = {
        heard: (bytes: Uint8Array) => void heard.push(bytes),
        connected: () => undefined,
        lost: () => undefined,
        refused: () => undefined,
      };
      const other = { ...OPTIONS, login: () => ({}), engines: [at(server.port)], origin };
      const link = await NatsLink.open(other, events);
      const hello = { ...HELLO, name: "b" };
      const timer = setInterval(() => {
        link.sendAll(helloMessage({ origin, number: 0 }, hello));
      }, 200);
      const trial = await tryEngine(at(server.port), OPTIONS);
      clearInterval(timer);
      expect(trial).toEqual({
        ...{ problem: undefined, asksLogin: false, nodes: ["b"], otherVersion: false },
      });
      expect(heard).toEqual([]);
      const bytes = helloMessage({ origin, number: 0 }, hello);
      bytes[2] = 9;
      const later = setInterval(() => link.sendAll(bytes), 200);
      expect((await tryEngine(at(server.port), OPTIONS)).otherVersion).toBe(true);
      clearInterval(later);
      await link.close();
    },
    MINUTE,
  );

  test(
    "has a remedy for a wrong login, for subjects of others, and for missing TLS",
    async () => {
      await using server = await NatsServer.start(USERS);
      const engine = at(server.port);
      const right = await tryEngine(engine, { ...OPTIONS, login: { user: "u", password: "p2" } });
      expect(right).toMatchObject({ problem: undefined, asksLogin: true });
      const remedyOf = async (login: object, name = "x", tls = false) => {
        const { problem } = await tryEngine({ ...engine, tls }, { ...OPTIONS, login, name });
        expect(problem?.answered).toBe(true);
        return problem?.remedy;
      };
      expect(await remedyOf({ user: "u", password: "p3" })).toContain("TRACKER_CLUSTER_PASSWORD");
      expect(await remedyOf({})).toContain("TRACKER_CLUSTER_USER");
      expect(await remedyOf({ user: "u", password: "p2" }, "y")).toContain(
        "let this user publish and subscribe to buntracker.y.>",
      );
      expect(await remedyOf({ user: "u", password: "p2" }, "x", true)).toContain("write nats://");
    },
    MINUTE,
  );
});
