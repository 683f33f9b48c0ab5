/** Messages to systemd, read from a Unix datagram socket. Bun has none, so Python opens it. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Notifier } from "../../src/host/notify.ts";

const folder = mkdtempSync(join(tmpdir(), "notify-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Receives `count` datagrams and writes each as a line of JSON, with the number of descriptors. */
const LISTENER = `
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name.startswith("@") else name)
s.settimeout(5)
print("bound", flush=True)
for _ in range(int(sys.argv[2])):
    data, fds, _, _ = socket.recv_fds(s, 4096, 512)
    print(json.dumps(data.decode() + (f" +{len(fds)}" if fds else "")), flush=True)
    for fd in fds:
        os.close(fd)
`;

const python = Bun.which("python3");

/** The messages that a supervisor at `name` receives. */
async function heard(name: string, count: number, say: (notifier: Notifier) => void) {
  const child = Bun.spawn([python!, "-c", LISTENER, name, String(count)], { stdout: "pipe" });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let text = decoder.decode((await reader.read()).value);
  const notifier = new Notifier({ NOTIFY_SOCKET: name });
  expect(notifier.listening).toBe(true);
  say(notifier);
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    text += decoder.decode(read.value);
  }
  const [bound, ...lines] = text.trimEnd().split("\n");
  expect(bound).toBe("bound");
  return lines.map((line) => JSON.parse(line) as string);
}

const onLinux = process.platform === "linux" && python !== null;

test.if(onLinux)("all states are sent to a socket with a path", async () => {
  const messages = await heard(join(folder, "socket"), 6, (notifier) => {
    notifier.ready("answering");
    notifier.status("12 peers\nin 3 swarms");
    notifier.alive();
    notifier.reloading();
    notifier.ready("answering");
    notifier.stopping();
  });
  expect(messages.map((text) => text.replace(/\d{6,}/, "N"))).toEqual([
    "READY=1\nSTATUS=answering",
    "STATUS=12 peers in 3 swarms",
    "WATCHDOG=1",
    "RELOADING=1\nMONOTONIC_USEC=N",
    "READY=1\nSTATUS=answering",
    "STOPPING=1",
  ]);
});

test.if(onLinux)(
  "descriptors are stored under a name, in as many messages as they need",
  async () => {
    const messages = await heard(join(folder, "store"), 5, (notifier) => {
      expect(notifier.store("udp-[__]-6969", [0, 1])).toBe(true);
      expect(notifier.store("many", Array<number>(130).fill(0))).toBe(true);
      expect(notifier.forget("udp-[__]-6969")).toBe(true);
      notifier.alive();
    });
    expect(messages).toEqual([
      "FDSTORE=1\nFDNAME=udp-[__]-6969\nFDPOLL=0 +2",
      "FDSTORE=1\nFDNAME=many\nFDPOLL=0 +128",
      "FDSTORE=1\nFDNAME=many\nFDPOLL=0 +2",
      "FDSTOREREMOVE=1\nFDNAME=udp-[__]-6969",
      "WATCHDOG=1",
    ]);
  },
);

test.if(onLinux)("a barrier returns once the supervisor has processed what was sent", async () => {
  const name = join(folder, "barrier");
  const start = performance.now();
  const messages = await heard(name, 2, (notifier) => {
    notifier.alive();
    notifier.barrier();
  });
  expect(messages).toEqual(["WATCHDOG=1", "BARRIER=1 +1"]);
  expect(performance.now() - start).toBeLessThan(4000);
  // Without anybody who would process it, nothing is waited for.
  new Notifier({ NOTIFY_SOCKET: join(folder, "nobody") }).barrier();
  expect(new Notifier({ NOTIFY_SOCKET: join(folder, "nobody") }).store("x", [0])).toBe(false);
  expect(new Notifier({ NOTIFY_SOCKET: join(folder, "nobody") }).forget("x")).toBe(false);
});

test.if(onLinux)("a socket may have an abstract name", async () => {
  const name = `@buntracker-test-${process.pid}`;
  expect(await heard(name, 1, (notifier) => notifier.alive())).toEqual(["WATCHDOG=1"]);
});

test.each([undefined, "", "relative/path", "vsock:2:1234", `/${"x".repeat(200)}`])(
  "with NOTIFY_SOCKET=%s nothing is sent and nothing fails",
  (name) => {
    const notifier = new Notifier({ NOTIFY_SOCKET: name });
    expect(notifier.listening).toBe(false);
    notifier.ready("x");
    notifier.alive();
    notifier.reloading();
    notifier.stopping();
  },
);

test.if(onLinux)(
  "a supervisor that has ended is ignored, and one that comes back is notified",
  async () => {
    const name = join(folder, "again");
    const notifier = new Notifier({ NOTIFY_SOCKET: name });
    for (let i = 0; i < 100; i++) notifier.alive();
    expect(await heard(name, 1, () => notifier.stopping())).toEqual(["STOPPING=1"]);
  },
);

test("the watchdog is notified twice in its timeout, if it watches this process", () => {
  const seconds = (env: Record<string, string>) => new Notifier(env, 4711).watchdogSeconds;
  expect(seconds({ WATCHDOG_USEC: "30000000" })).toBe(15);
  expect(seconds({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "4711" })).toBe(15);
  expect(seconds({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "1" })).toBe(0);
  expect(seconds({ WATCHDOG_USEC: "soon" })).toBe(0);
  expect(seconds({})).toBe(0);
});
