/** The link over NATS: without a server it waits, and says why. */
import { describe, expect, test } from "bun:test";
import { explain, type LinkEvents, type Login, NatsLink } from "../../src/cluster/link.ts";
import { freePort } from "../e2e/harness.ts";
import { NATS_SERVER, NatsServer } from "./nats.ts";

const LOGIN = { user: undefined, password: undefined };

function engineAt(port: number) {
  return { host: "127.0.0.1", port, tls: false, ...LOGIN };
}

/** A link to some servers, and what it told. */
async function open(ports: number[], origin = "0123456789abcdef", login: Login = {}) {
  const told: string[] = [];
  const heard: Uint8Array[] = [];
  const events: LinkEvents = {
    heard: (message) => void heard.push(message.slice()),
    connected: (engine) => void told.push(`connected ${engine}`),
    lost: (engine) => void told.push(`lost ${engine}`),
    refused: (engine, _reason, remedy) => void told.push(`refused ${engine}: ${remedy}`),
  };
  const engines = ports.map(engineAt);
  const rest = { name: "x", origin, node: "n" };
  const link = await NatsLink.open({ engines, login: () => login, ...rest }, events);
  const until = async (done: () => boolean): Promise<void> => {
    for (let i = 0; i < 400 && !done(); i++) await Bun.sleep(25);
    expect([done(), told]).toEqual([true, told]);
  };
  return { link, told, heard, until };
}

test("without a server nothing is sent, nothing waits, and the reason has a remedy", async () => {
  const port = freePort();
  const { link, told, until } = await open([port]);
  expect([link.up, link.sendAll(new Uint8Array(3))]).toEqual([false, false]);
  await until(() => told.length > 0);
  expect(told[0]).toBe(`refused 127.0.0.1:${port}: start a NATS server at 127.0.0.1:${port}`);
  await link.close();
});

test("a server that is not there is tried as often after some time as at first", async () => {
  const { link, told, until } = await open([freePort()]);
  // With waits that doubled, the eighth came after 18 seconds.
  await until(() => told.length >= 8);
  await link.close();
});

test("a remedy fits what a server said", () => {
  const engine = engineAt(4222);
  expect(explain(new Error("Authorization Violation"), engine).remedy).toContain("CLUSTER_USER");
  const tls = explain(new Error("unable to verify the first certificate"), {
    ...engine,
    tls: true,
  });
  expect(tls.remedy).toContain("TRACKER_CLUSTER_TLS_CA_FILE");
  expect(explain(new Error("write EBADF: tls"), engine).remedy).toContain("tls://");
  const noTls = "server does not support 'tls'";
  expect(explain(new Error(noTls), { ...engine, tls: true }).remedy).toContain("write nats://");
  const unknown = explain(new Error("getaddrinfo ENOTFOUND user.example"), engine);
  expect(unknown.remedy).toContain("correct the host name");
  expect(explain(new Error("timeout"), engine).remedy).toContain("see that a NATS server answers");
});

test("a remedy of TLS names the setting that helps", () => {
  const engine = { ...engineAt(4222), tls: true };
  const remedyFor = (reason: string) => explain(new Error(reason), engine).remedy;
  expect(remedyFor("self signed certificate")).toStartWith("set TRACKER_CLUSTER_TLS_CA_FILE");
  expect(explain(new Error("write EBADF"), engine).reason).toContain("closed the connection in");
  const closed = remedyFor("write EBADF");
  expect(closed).toContain("TRACKER_CLUSTER_TLS_CERT_FILE and TRACKER_CLUSTER_TLS_KEY_FILE");
  expect(closed).not.toContain("CA_FILE");
  expect(remedyFor("certificate has expired")).toStartWith("renew the certificate of the server");
  const list = "IP: 127.0.0.1 is not in the cert's list: ";
  for (const names of [list, "Host: a. is not in the cert's altnames: DNS:authentication.test"]) {
    expect(remedyFor(`Hostname/IP does not match certificate's altnames: ${names}`)).toBe(
      "write a name of the server's certificate in TRACKER_CLUSTER_URL, " +
        "or give the server one for 127.0.0.1",
    );
  }
  const plain = explain(new Error("self signed certificate"), engineAt(4222)).remedy;
  expect(plain).toMatch(/^write tls:.*, and set TRACKER_CLUSTER_TLS_CA_FILE/);
});

test("another program at the port is no reason to start a server", () => {
  for (const reason of ["server does not support 'noEcho'", "unexpected response from server"]) {
    const refused = explain(new Error(reason), engineAt(4222));
    expect(refused).toMatchObject({ reason, answered: false });
    expect(refused.remedy).toStartWith("see with ss -lntp what listens there");
  }
});

test("the name of a host is no reason", () => {
  const engine = { ...engineAt(4222), host: "authentication.example" };
  const refused = explain(new Error("connect ECONNREFUSED authentication.example:4222"), engine);
  expect(refused.remedy).toBe("start a NATS server at authentication.example:4222");
});

describe.skipIf(NATS_SERVER === null)("with a server (nats-server)", () => {
  test("all hear what is sent to all, one what is sent to it, and none its own", async () => {
    await using server = await NatsServer.start();
    const a = await open([server.port], "aaaaaaaaaaaaaaaa");
    const b = await open([server.port], "bbbbbbbbbbbbbbbb");
    await Promise.all([a, b].map(({ until, link }) => until(() => link.up)));
    expect(a.link.engine).toBe(`127.0.0.1:${server.port}`);
    // The server knows the subscriptions of both before it gets a message of either.
    await Bun.sleep(100);
    a.link.sendAll(Uint8Array.of(1));
    a.link.sendTo("bbbbbbbbbbbbbbbb", Uint8Array.of(2));
    a.link.sendTo("aaaaaaaaaaaaaaaa", Uint8Array.of(3));
    b.link.sendTo("aaaaaaaaaaaaaaaa", Uint8Array.of(4));
    await a.until(() => a.heard.length === 1 && b.heard.length === 2);
    expect([a.heard, b.heard].map((all) => all.map(([byte]) => byte))).toEqual([[4], [1, 2]]);
    await Promise.all([a, b].map(({ link }) => link.close()));
  });

  test("a server that takes only small messages is refused, with what it must take", async () => {
    await using server = await NatsServer.start("max_payload: 16384");
    const { link, told, until } = await open([server.port], "aaaaaaaaaaaaaaaa");
    await until(() => told.length > 0);
    expect(told[0]).toBe(
      `refused 127.0.0.1:${server.port}: set max_payload to at least 32792 at the server`,
    );
    expect(link.up).toBe(false);
    await link.close();
  });

  test("a login that may use other subjects only never counts as connected", async () => {
    await using server = await NatsServer.start(`authorization { users: [{
      user: "u", password: "p", permissions: { publish: "buntracker.y.>", subscribe: ">" }
    }] }`);
    const login = { user: "u", password: "p" };
    const { link, told, until } = await open([server.port], "aaaaaaaaaaaaaaaa", login);
    await until(() => told.length > 1);
    const refused = `refused 127.0.0.1:${server.port}: let this user publish and subscribe to`;
    expect(told.filter((line) => !line.startsWith(refused))).toEqual([]);
    expect([link.up, link.sendAll(new Uint8Array(3))]).toEqual([false, false]);
    await link.close();
  });

  test("the next one is taken when one is gone", async () => {
    await using first = await NatsServer.start();
    await using second = await NatsServer.start();
    const { link, told, until } = await open([first.port, second.port]);
    await until(() => link.up);
    await first.kill();
    await until(() => link.engine === `127.0.0.1:${second.port}`);
    expect(told.slice(0, 3)).toEqual([
      `connected 127.0.0.1:${first.port}`,
      `lost 127.0.0.1:${first.port}`,
      `connected 127.0.0.1:${second.port}`,
    ]);
    await link.close();
  }, 30_000);

  test("what it does not acknowledge is counted, and above 4 MiB refused", async () => {
    await using server = await NatsServer.start();
    const { link, until } = await open([server.port]);
    await until(() => link.up);
    server.signal("SIGSTOP");
    const megabyte = new Uint8Array(1000 * 1000);
    expect(Array.from({ length: 6 }, () => link.sendAll(megabyte)).filter(Boolean).length).toBe(4);
    server.signal("SIGCONT");
    await until(() => link.sendAll(megabyte));
    await link.close();
  }, 30_000);
});
