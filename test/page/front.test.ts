/** The page and its feed, as they leave the tracker. What a browser makes of them is in e2e. */
import { describe, expect, test } from "bun:test";

import { announceUrls, Front, type FrontSettings, nameIn } from "../../src/page/front.ts";
import { Live } from "../../src/page/live.ts";
import { counterMemory, Counters } from "../../src/ops/counters.ts";
import { reserveSwarmMemory } from "../../src/swarm/memory.ts";

const SETTINGS: FrontSettings = {
  publicName: undefined,
  udpListeners: [{ host: "::", port: 6969 }],
  httpListeners: [{ host: "::", port: 6969, tls: undefined }],
  tls: false,
};

/** `drops` is null where the system does not tell. */
function make(settings: Partial<FrontSettings> = {}, drops: number | null = 0): Front {
  const live = new Live({
    version: "buntracker 1.2.3",
    startedSeconds: 1_700_000_000,
    counters: new Counters(counterMemory(1), 0),
    memory: reserveSwarmMemory({
      memoryMax: 16 * 2 ** 20,
      peerTimeout: 100,
      downloadsTimeout: 100,
      threads: false,
    }),
    drops: () => drops ?? undefined,
    now: () => 7,
  });
  return new Front(live, { ...SETTINGS, ...settings });
}

describe("the page", () => {
  test("is under 30 KB and takes nothing from elsewhere", async () => {
    const text = await make().answerPage("tracker.example").text();
    expect(text.length).toBeGreaterThan(5000);
    expect(text.length).toBeLessThan(30_000);
    expect(text).not.toMatch(/\b(src|href|action)=|@import|url\(|\bstyle="|\bon\w+="/);
    const elsewhere = text.replace(/<code>.*?<\/code>/g, "").match(/\w+:\/\/[^\s"']*/g) ?? [];
    expect(elsewhere).toEqual([]);
  });

  test("has a policy that allows its own style and script, by their hashes", async () => {
    const answer = make().answerPage(null);
    const policy = answer.headers.get("content-security-policy")!;
    const text = await answer.text();
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
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });

  test("has every number in it before a script runs", async () => {
    const text = await make({}, 12_345).answerPage("tracker.example").text();
    expect(text).toContain('<span data-text="drops">12,345</span>');
    expect(text).toContain('<body class="dropping">');
    expect(text).toContain('<span data-text="up">7 s</span>');
    expect(text).toContain("14 November 2023, 22:13 UTC");
    expect(text).toContain("buntracker 1.2.3");
    for (const [, inside] of text.matchAll(/data-text="\w+">([^<]*)</g)) {
      expect(inside).not.toMatch(/undefined|NaN|Infinity/);
    }
  });

  test("says nothing of drops where the system does not tell", async () => {
    expect(await make({}, 0).answerPage("x").text()).toContain("dropped by the kernel");
    expect(await make({}, null).answerPage("x").text()).not.toContain("dropped by the kernel");
  });

  test.each(['x"><script>alert(1)</script>', "a b", "x'y", "<xmp>", "-->", "a/b", "x".repeat(300)])(
    "a Host of %s is no name, and does not come back",
    async (host) => {
      const text = await make().answerPage(host).text();
      expect(text).not.toContain(host);
      expect(text).not.toContain("<code>");
      expect(text).toContain("<h1>BitTorrent tracker</h1>");
      expect(text).toContain("<title>BitTorrent tracker</title>");
    },
  );

  test("shows the announce URLs under the name it is told, whatever the request says", async () => {
    const text = await make({ publicName: "tracker.example" }).answerPage("evil.example").text();
    expect(text).toContain("<code>udp://tracker.example:6969<wbr>/announce</code>");
    expect(text).not.toContain("evil");
  });
});

describe("announce URLs", () => {
  test("are those of all addresses, without the ports that go without saying", () => {
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
    };
    expect(announceUrls(settings, "t.example")).toEqual([
      "udp://t.example:6969/announce",
      "udp://t.example:80/announce",
      "http://t.example/announce",
      "https://t.example/announce",
      "http://t.example:8080/announce",
    ]);
  });

  test("of addresses that only this machine reaches are for this machine", () => {
    const settings = { ...SETTINGS, httpListeners: [{ host: "127.0.0.1", port: 1, tls: false }] };
    expect(announceUrls(settings, "t.example")).toEqual(["udp://t.example:6969/announce"]);
    expect(announceUrls(settings, "localhost")).toContain("http://localhost:1/announce");
    expect(announceUrls(settings, "127.0.0.1")).toContain("http://127.0.0.1:1/announce");
  });

  test("begin, over HTTP, with the proxy through which the reader came", () => {
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
    const text = await make({ publicName: "t.example" })
      .answerPage("other.example:8443", "https")
      .text();
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
  [null, undefined],
])("the name in Host %p is %p", (host, name) => {
  expect(nameIn(host)).toBe(name);
});

test("the feed has the numbers, and what the page shows of them", async () => {
  const answer = make({}, 3).answerFeed();
  expect(answer.headers.get("content-type")).toBe("application/json");
  const feed = (await answer.json()) as Record<string, unknown>;
  expect(feed).toMatchObject({ upSeconds: 7, drops: 3, announces: [0, 0, 0, 0] });
  expect(feed["view"]).toMatchObject({ text: { drops: "3", up: "7 s" }, dropping: true });
});
