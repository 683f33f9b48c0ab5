/** The page and its feed as bytes. The tests in a browser are in e2e. */
import { describe, expect, spyOn, test } from "bun:test";

import {
  announceUrls,
  Front,
  type FrontSettings,
  nameIn,
  PAGE_FIELDS,
} from "../../src/page/front.ts";
import { Live } from "../../src/page/live.ts";
import { counterMemory, Counters } from "../../src/counters/counters.ts";
import { someMemory } from "../swarm/some-memory.ts";

const SETTINGS: FrontSettings = {
  publicName: undefined,
  udpListeners: [{ host: "::", port: 6969 }],
  httpListeners: [{ host: "::", port: 6969, tls: undefined }],
  tls: false,
  websocket: "off",
};

/** `drops` is null where the system does not tell. */
function make(
  settings: Partial<FrontSettings> = {},
  drops: number | null = 0,
  now = () => 7,
  kept?: number,
): Front {
  const live = new Live({
    version: "buntracker 1.2.3",
    wallClock: { at: (seconds) => 1_700_000_000 + seconds },
    counters: new Counters(counterMemory(1), 0),
    memory: someMemory(),
    drops: () => drops ?? undefined,
    keptSeconds: () => kept,
    now,
  });
  return new Front(live, { ...SETTINGS, ...settings });
}

test("page and feed are made once a second, whatever host names requests have", () => {
  let seconds = 7;
  const front = make({}, 0, () => seconds);
  const dates = spyOn(Date.prototype, "toLocaleDateString");
  const curves = spyOn(JSON, "stringify");
  const out = new Uint8Array(front.bytesMax);
  const made = () => [dates.mock.calls.length, curves.mock.calls.length];
  try {
    for (let i = 0; i < 100; i++) {
      front.writePage(out, 0, `${i}.example`);
      front.writeFeed(out, 0);
    }
    expect(made()).toEqual([1, 1]);
    seconds += 1;
    front.writePage(out, 0, "a.example");
    front.writeFeed(out, 0);
    expect(made()).toEqual([2, 2]);
  } finally {
    dates.mockRestore();
    curves.mockRestore();
  }
});

test("the page fits its limit with the longest name and many addresses", () => {
  const name = `${"a".repeat(63)}.`.repeat(4).slice(0, -3);
  const listeners = Array.from({ length: 20 }, (_, at) => ({ host: "::", port: 60_000 + at }));
  const httpListeners = listeners.map((listener) => ({ ...listener, tls: undefined }));
  for (const publicName of [name, undefined]) {
    const front = make({ publicName, udpListeners: listeners, httpListeners });
    const text = pageOf(front, `${name}:65535`, "https");
    expect(text).toEndWith("</html>\n");
    expect(text).toContain(`<code>https://${name}:65535<wbr>/announce</code>`);
  }
});

/** The page as it is written. */
function pageOf(front: Front, host: string, scheme?: "http" | "https"): string {
  const out = new Uint8Array(front.bytesMax + 3);
  const size = front.writePage(out, 3, host, scheme);
  return Buffer.from(out.subarray(3, 3 + size)).toString();
}

describe("the page", () => {
  test("is under 30 KB and loads nothing from other servers", async () => {
    const text = pageOf(make(), "tracker.example");
    expect(text.length).toBeGreaterThan(5000);
    expect(text.length).toBeLessThan(30_000);
    expect(text).not.toMatch(/\b(src|href|action)=|@import|url\(|\bstyle="|\bon\w+="/);
    const elsewhere = text.replace(/<code>.*?<\/code>/g, "").match(/\w+:\/\/[^\s"']*/g) ?? [];
    expect(elsewhere).toEqual([]);
  });

  test("has a policy that allows its own style and script, by their hashes", async () => {
    const fields = new Map(
      PAGE_FIELDS.split("\r\n").map((field) => field.split(": ") as [string, string]),
    );
    const policy = fields.get("Content-Security-Policy")!;
    const text = pageOf(make(), "");
    const hash = (element: string) => {
      const [, inside] = new RegExp(`<${element}>(.*?)</${element}>`, "s").exec(text)!;
      return `'sha256-${new Bun.CryptoHasher("sha256").update(inside).digest("base64")}'`;
    };
    expect(policy.split("; ")).toEqual([
      "default-src 'none'",
      `style-src ${hash("style")}`,
      `script-src ${hash("script")}`,
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]);
    expect(fields.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(fields.get("Cache-Control")).toBe("no-store");
  });

  test("has every number without scripts", async () => {
    const text = pageOf(make({}, 12_345), "tracker.example");
    expect(text).toContain('<span data-text="drops">12,345</span>');
    expect(text).toContain('<body class="dropping">');
    expect(text).toContain('<span data-text="up">7 s</span>');
    expect(text).toContain("14 November 2023, 22:13 UTC");
    expect(text).toContain("buntracker 1.2.3");
    for (const [, inside] of text.matchAll(/data-text="\w+">([^<]*)</g)) {
      expect(inside).not.toMatch(/undefined|NaN|Infinity/);
    }
  });

  test("does not show drops where the system does not count them", async () => {
    expect(pageOf(make({}, 0), "x")).toContain("dropped by the kernel");
    expect(pageOf(make({}, null), "x")).not.toContain("dropped by the kernel");
  });

  test.each(['x"><script>alert(1)</script>', "a b", "x'y", "<xmp>", "-->", "a/b", "x".repeat(300)])(
    "a Host of %s is no name, and does not come back",
    async (host) => {
      const text = pageOf(make(), host);
      expect(text).not.toContain(host);
      expect(text).not.toContain("<code>");
      expect(text).toContain("<h1>BitTorrent tracker</h1>");
      expect(text).toContain("<title>BitTorrent tracker</title>");
    },
  );

  test("shows the announce URLs under the configured name, not that of the request", async () => {
    const text = pageOf(make({ publicName: "tracker.example" }), "evil.example");
    expect(text).toContain("<code>udp://tracker.example:6969<wbr>/announce</code>");
    expect(text).not.toContain("evil");
  });
});

describe("announce URLs", () => {
  test("are those of all addresses, without default ports", () => {
    const settings: FrontSettings = {
      publicName: undefined,
      udpListeners: [
        { host: "0.0.0.0", port: 6969 },
        { host: "::", port: 6969 },
        { host: "::", port: 80 },
      ],
      httpListeners: [
        { host: "::", port: 80, tls: false },
        { host: "::", port: 443, tls: undefined },
        { host: "::", port: 8080, tls: false },
      ],
      tls: true,
      websocket: "off",
    };
    expect(announceUrls(settings, "t.example")).toEqual([
      "udp://t.example:6969/announce",
      "udp://t.example:80/announce",
      "http://t.example/announce",
      "https://t.example/announce",
      "http://t.example:8080/announce",
    ]);
  });

  test("have those of browsers, where these may announce", () => {
    const settings = { ...SETTINGS, websocket: "on" };
    expect(announceUrls(settings, "t.example", { scheme: "https", port: 443 })).toEqual([
      "udp://t.example:6969/announce",
      "https://t.example/announce",
      "http://t.example:6969/announce",
      "wss://t.example/announce",
      "ws://t.example:6969/announce",
    ]);
  });

  test("of loopback addresses are shown to this machine only", () => {
    const settings = { ...SETTINGS, httpListeners: [{ host: "127.0.0.1", port: 1, tls: false }] };
    expect(announceUrls(settings, "t.example")).toEqual(["udp://t.example:6969/announce"]);
    expect(announceUrls(settings, "localhost")).toContain("http://localhost:1/announce");
    expect(announceUrls(settings, "127.0.0.1")).toContain("http://127.0.0.1:1/announce");
  });

  test("over HTTP begin with the proxy of the request", () => {
    const behind = { ...SETTINGS, httpListeners: [{ host: "127.0.0.1", port: 1, tls: false }] };
    const udp = "udp://t.example:6969/announce";
    const at = (scheme: "http" | "https", port?: number) =>
      announceUrls(behind, "t.example", { scheme, port });
    expect(at("https")).toEqual([udp, "https://t.example/announce"]);
    expect(at("http", 80)).toEqual([udp, "http://t.example/announce"]);
    expect(at("https", 8443)).toEqual([udp, "https://t.example:8443/announce"]);
    expect(announceUrls(SETTINGS, "t.example", { scheme: "https", port: 443 })).toEqual([
      udp,
      "https://t.example/announce",
      "http://t.example:6969/announce",
    ]);
  });

  test("take the proxy's port from the Host header, and the name from the settings", async () => {
    const text = pageOf(make({ publicName: "t.example" }), "other.example:8443", "https");
    expect(text).toContain("<code>https://t.example:8443<wbr>/announce</code>");
    expect(text).not.toContain("other");
  });

  test("need a name", () => {
    expect(announceUrls(SETTINGS, undefined)).toEqual([]);
  });
});

test.each([
  ["tracker.example", "tracker.example"],
  ["Tracker.Example.:8080", "tracker.example"],
  ["192.0.2.1:80", "192.0.2.1"],
  ["[2001:DB8::1]:6969", "[2001:db8::1]"],
  ["localhost", "localhost"],
  ["", undefined],
  [":80", undefined],
  ["a..b", undefined],
  ["a:b", undefined],
  ["a\nb", undefined],
  ["[::1", undefined],
])("the name in Host %p is %p", (host, name) => {
  expect(nameIn(host)).toBe(name);
});

test("the feed has the numbers and the texts of the page", async () => {
  const answer = make({}, 3).feedResponse();
  expect(answer.headers.get("content-type")).toBe("application/json");
  const text = await answer.text();
  const front = make({}, 3);
  const out = new Uint8Array(front.bytesMax + 3);
  expect(Buffer.from(out.subarray(3, 3 + front.writeFeed(out, 3))).toString()).toBe(text);
  const feed = JSON.parse(text) as Record<string, unknown>;
  expect(feed).toMatchObject({ upSeconds: 7, drops: 3, announces: [0, 0, 0, 0, 0, 0] });
  expect(feed["view"]).toMatchObject({ text: { drops: "3", up: "7 s" }, dropping: true });
});

test("the footer tells when the swarms were kept, where they are", () => {
  const pageOf = (kept?: number): string => {
    const front = make({}, 0, () => 200, kept);
    const out = new Uint8Array(front.bytesMax);
    return new TextDecoder().decode(out.subarray(0, front.writePage(out, 0, "a.example")));
  };
  const shown = '<footer>Swarms kept, <span data-text="kept">3 min ago</span> · buntracker 1.2.3<';
  expect(pageOf(10)).toContain(shown);
  expect(pageOf()).toContain("<footer>buntracker 1.2.3<");
});
