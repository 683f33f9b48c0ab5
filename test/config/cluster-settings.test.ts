/** How the settings of a cluster are read, and what contradicts what. */
import { describe, expect, test } from "bun:test";
import { CLUSTER_SETTINGS, showEngine, showPlace } from "../../src/config/cluster-settings.ts";
import { readConfig } from "../../src/config/config.ts";

function problemsOf(env: Record<string, string>): string[] {
  const result = readConfig(env);
  return "problems" in result ? result.problems : [];
}

function urls(text: string) {
  return CLUSTER_SETTINGS.clusterUrls.parse(text);
}

const NOBODY = { user: undefined, password: undefined };

describe("the URL of a NATS server", () => {
  test("names host and port, and whether it is reached by TLS; the port may be left out", () => {
    expect(urls("nats://127.0.0.1:4333, TLS://Nats.Example.org,nats://[::1]:4222/")).toEqual([
      { host: "127.0.0.1", port: 4333, tls: false, ...NOBODY },
      { host: "nats.example.org", port: 4222, tls: true, ...NOBODY },
      { host: "::1", port: 4222, tls: false, ...NOBODY },
    ]);
    expect(urls("")).toEqual([]);
  });

  test("may have user and password, of which only the user is shown", () => {
    const [engine] = urls("tls://b%40t:p%3As:x@nats.example.org");
    expect(engine).toMatchObject({ user: "b@t", password: "p:s:x" });
    expect(showEngine(engine!)).toBe("tls://b%40t@nats.example.org:4222");
    expect(showPlace({ host: "::1", port: 4222 })).toBe("[::1]:4222");
  });

  test.each([
    ["127.0.0.1:4222", "is no URL of a NATS server"],
    ["http://a:4222", "is no URL of a NATS server"],
    ["nats://a:0", "is no URL of a NATS server"],
    ["nats://a:65536", "is no URL of a NATS server"],
    ["nats://:4222", "has no host name or address"],
    ["nats://[::g]:4222", "has no host name or address"],
    ["nats://me@a", "has a user without a password"],
    ["nats://%zz:b@a", "has a % in its login that begins no escape"],
    ["nats://a:b%zz@a:4222", "has a % in its login that begins no escape"],
    ["nats://127.0.0.1:4222,,", "is no URL of a NATS server: remove a comma"],
    ["nats://u:a@h:99999,nats://u:b@h:99999", "is no URL of a NATS server: write"],
  ])("%s is a mistake", (text, reason) => {
    const problems = problemsOf({ TRACKER_CLUSTER_URL: text });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(reason);
  });
});

test("no message shows a password, whatever is wrong with its URL", () => {
  for (const [url, reason] of [
    ["nats://u:s3cret@h:99999", "is no URL"],
    ["nats://u:s3cret@h/x", "is no URL"],
    ["http://u:s3cret@h", "is no URL"],
    ["nats://u:s3@cret@h", "has more than one @: write that of a user or a password as %40"],
    ["nats://u:s3cret@h,nats://u:s3cret@h", "is repeated"],
    ["nats://u:s3cret@h nats://b", "has a blank where a comma belongs"],
    ["nats://u:s3cret%zz@h", "begins no escape such as %40: write a % of the user or the"],
    ["nats://u:s3cret", "is no URL"],
    ["nats://u:s3cret,nats://h", "is no URL"],
  ]) {
    const [problem, ...more] = problemsOf({ TRACKER_CLUSTER_URL: url! });
    expect(problem).toContain(reason!);
    expect([url, /s3|cret/.test(problem!), more]).toEqual([url, false, []]);
  }
  expect(problemsOf({ TRACKER_CLUSTER_URL: "nats://h:99999" })[0]).toContain('"nats://h:99999"');
});

describe("names", () => {
  test("of a cluster are words, since they are part of a subject", () => {
    for (const [name, sign] of [
      ["a.b", "."],
      ["a*", "*"],
      ["a b", " "],
      ["x>", ">"],
      ["x😀", "😀"],
    ]) {
      expect(problemsOf({ TRACKER_CLUSTER_NAME: name })).toEqual([
        `TRACKER_CLUSTER_NAME is "${name}", in which "${sign}" is not allowed: ` +
          "write only letters of A to Z, digits, - and _",
      ]);
    }
    expect(problemsOf({ TRACKER_CLUSTER_NAME: "x".repeat(65) })[0]).toEndWith(
      ", which has 65 characters: write at most 64",
    );
    expect(problemsOf({ TRACKER_CLUSTER_NAME: "My_swarms-2" })).toEqual([]);
  });

  test("of a node take as many bytes as a hello has room for; without one it is the host's", () => {
    expect(problemsOf({ TRACKER_CLUSTER_NODE: "ä".repeat(33) })[0]).toEndWith(
      ", which has 66 bytes in UTF-8: write at most 64",
    );
    expect(problemsOf({ TRACKER_CLUSTER_NODE: "a\nb" })[0]).toContain("write it on one line");
    const result = readConfig({});
    expect("config" in result && result.config.clusterNode.length).toBeGreaterThan(0);
  });
});

const URL = { TRACKER_CLUSTER_URL: "nats://127.0.0.1" };

test.each([
  [{ TRACKER_CLUSTER_USER: "a" }, "TRACKER_CLUSTER_USER is set without TRACKER_CLUSTER_PASSWORD"],
  [{ TRACKER_CLUSTER_PASSWORD: "a" }, "TRACKER_CLUSTER_PASSWORD is set without"],
  [{ TRACKER_CLUSTER_TLS_KEY_FILE: "k" }, "TRACKER_CLUSTER_TLS_KEY_FILE is set without"],
  [{ TRACKER_CLUSTER_TLS_CERT_FILE: "c" }, "TRACKER_CLUSTER_TLS_CERT_FILE is set without"],
  [
    { ...URL, TRACKER_CLUSTER_TLS_CA_FILE: "c" },
    "TRACKER_CLUSTER_TLS_CA_FILE is set, but no server",
  ],
  [
    { TRACKER_CLUSTER_URL: "nats://a:b@c", TRACKER_CLUSTER_CREDENTIALS_FILE: "k" },
    "TRACKER_CLUSTER_CREDENTIALS_FILE is set, and TRACKER_CLUSTER_URL has a user",
  ],
  [
    {
      TRACKER_CLUSTER_USER: "a",
      TRACKER_CLUSTER_PASSWORD: "b",
      TRACKER_CLUSTER_CREDENTIALS_FILE: "k",
    },
    "TRACKER_CLUSTER_CREDENTIALS_FILE is set, and TRACKER_CLUSTER_USER is set",
  ],
])("%o is half of something, or twice", (env, sentence) => {
  const problems = problemsOf(env as Record<string, string>);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(sentence);
});

test("a setting that was set, but not understood, is not called missing", () => {
  const twice = { TRACKER_CLUSTER_PASSWORD: "b", TRACKER_CLUSTER_PASSWORD_FILE: "/nowhere/p" };
  expect(problemsOf({ TRACKER_CLUSTER_USER: "a", ...twice })).toEqual([
    "TRACKER_CLUSTER_PASSWORD and TRACKER_CLUSTER_PASSWORD_FILE are both set: keep one",
  ]);
  const missing = { TRACKER_CLUSTER_PASSWORD_FILE: "/nowhere/p" };
  expect(problemsOf({ TRACKER_CLUSTER_USER: "a", ...missing })).toHaveLength(1);
});

test("a password is never shown in a mistake about it", () => {
  const problems = problemsOf({ TRACKER_CLUSTER_PASSWORD: "hunter2" });
  expect(problems.join()).not.toContain("hunter2");
});
