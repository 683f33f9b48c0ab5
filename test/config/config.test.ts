/** The whole configuration: defaults, every problem with its sentence, and rules. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import fc from "fast-check";

import { descriptions, effectiveValues, readConfig } from "../../src/config/config.ts";
import type { Config } from "../../src/config/schema.ts";
import { GROUPS } from "../../src/config/description.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function configOf(env: Record<string, string | undefined>): Config {
  const result = readConfig(env);
  if ("problems" in result) throw new Error(result.problems.join("\n"));
  return result.config;
}

function problemsOf(env: Record<string, string | undefined>): string[] {
  const result = readConfig(env);
  return "problems" in result ? result.problems : [];
}

test("an empty environment is a correct public tracker", () => {
  const { memoryBytesMax, clusterNode, ...rest } = configOf({});
  expect(rest).toEqual({
    udpListeners: [{ host: "::", port: 6969 }],
    httpListeners: [{ host: "::", port: 6969, tls: undefined }],
    tlsCertFile: undefined,
    tlsKeyFile: undefined,
    user: undefined,
    udpWorkers: 1,
    httpWorkers: 0,
    udpReceiveBufferBytes: 4_194_304,
    intervalSeconds: 1800,
    minIntervalSeconds: 900,
    peerTimeoutSeconds: 2700,
    downloadsTimeoutSeconds: 86_400,
    numwantDefault: 50,
    numwantMax: 200,
    scrapeHashesMax: 74,
    udpSecret: undefined,
    websocket: "on",
    websocketIntervalSeconds: 120,
    websocketPingSeconds: 50,
    websocketConnectionsMax: undefined,
    websocketConnectionsPerOriginMax: undefined,
    websocketPeersMax: undefined,
    websocketOffersMax: 10,
    websocketOrigins: [],
    websocketDenyOrigins: [],
    websocketCounts: "all",
    peersPerSwarmMax: 1_000_000,
    peersPerAddressMax: 256,
    swarmsPerAddressMax: undefined,
    rateLimit: "observe",
    rateLimitAddress: 200,
    rateLimitNetwork: 2000,
    targetRate: 0,
    intervalMaxSeconds: 7200,
    intervalPerDoublingSeconds: 0,
    earlyAnnounces: "answer",
    trustedProxies: [],
    proxyHeader: "x-forwarded-for",
    allowIpParameter: false,
    portMin: 1,
    privateAddresses: "accept",
    ownAddresses: "answer",
    externalAddresses: [],
    denyFile: undefined,
    allowFile: undefined,
    denyNetworksFile: undefined,
    denyClients: [],
    allowClients: [],
    rulesFile: undefined,
    adminListeners: [{ host: "127.0.0.1", port: 6970 }],
    adminToken: undefined,
    allowHosts: [],
    warningMessage: "",
    redirectUrl: undefined,
    statsNetworks: ["127.0.0.0/8", "::1"],
    fullScrapeNetworks: ["127.0.0.0/8", "::1"],
    fullScrapeIntervalSeconds: 300,
    stateImport: undefined,
    snapshotFile: undefined,
    snapshotIntervalSeconds: 300,
    clusterUrls: [],
    clusterName: "default",
    clusterUser: undefined,
    clusterPassword: undefined,
    clusterCredentialsFile: undefined,
    clusterTlsCaFile: undefined,
    clusterTlsCertFile: undefined,
    clusterTlsKeyFile: undefined,
    logLevel: "info",
    logFormat: "logfmt",
  });
  expect(clusterNode).toBe(hostname());
  expect(memoryBytesMax).toBeGreaterThanOrEqual(16_777_216);
  expect(memoryBytesMax).toBeLessThanOrEqual(Math.max(16_777_216, totalmem() / 4));
  expect(memoryBytesMax).toBeLessThanOrEqual(1_073_741_824);
});

test("variables without our prefix are ignored", () => {
  expect(
    problemsOf({ PATH: "/bin", trackers_interval: "x", TRACKERS: "y", INTERVAL: "z" }),
  ).toEqual([]);
});

test("variables that Kubernetes or Docker set for a service are named as what they are", () => {
  const ofService = {
    TRACKER_SERVICE_HOST: "10.96.0.7",
    TRACKER_SERVICE_PORT: "6969",
    TRACKER_SERVICE_PORT_HTTP: "6969",
    TRACKER_PORT: "tcp://10.96.0.7:6969",
    TRACKER_PORT_6969_TCP: "tcp://10.96.0.7:6969",
    TRACKER_PORT_6969_UDP_ADDR: "10.96.0.7",
    TRACKER_WEB_PORT_80_TCP_PROTO: "tcp",
  };
  const problems = problemsOf(ofService);
  expect(problems).toHaveLength(Object.keys(ofService).length);
  for (const problem of problems) {
    expect(problem).toMatch(/^TRACKER_\w+ is not a setting: Kubernetes sets it for a Service of /);
  }
  // What an operator may guess at is no such variable.
  expect(problemsOf({ TRACKER_PORT: "6969" })[0]).not.toContain("Kubernetes");
});

test("every setting has an origin, which is the environment only if it is set there", () => {
  const result = readConfig({ TRACKER_INTERVAL: "20m", TRACKER_LOG_LEVEL: undefined });
  if ("problems" in result) throw new Error();
  expect(Object.keys(result.origins)).toEqual(descriptions().map(({ variable }) => variable));
  expect(result.origins["TRACKER_INTERVAL"]).toBe("environment");
  expect(result.origins["TRACKER_LOG_LEVEL"]).toBe("default");
  expect(result.origins["TRACKER_MIN_INTERVAL"]).toBe("default");
});

describe("a problem is one sentence with the value seen and a hint", () => {
  const cases: [env: Record<string, string>, sentence: string][] = [
    [
      { TRACKER_INTERVAL: "soon" },
      'TRACKER_INTERVAL is "soon", which is not a time: write seconds, or 90s, 30m, 24h',
    ],
    [
      { TRACKER_NUMWANT_MAX: "1001" },
      'TRACKER_NUMWANT_MAX is "1001", which is out of range: choose 0 to 1000',
    ],
    [
      { TRACKER_SCRAPE_MAX: "0" },
      'TRACKER_SCRAPE_MAX is "0", which is out of range: choose 1 to 74',
    ],
    [
      { TRACKER_INTERVAL_JITTER: "0" },
      "TRACKER_INTERVAL_JITTER is no longer a setting: remove it;" +
        " intervals always vary by up to 10 percent",
    ],
    [
      { TRACKER_STATS_PATH: "numbers" },
      "TRACKER_STATS_PATH is no longer a setting: remove it;" +
        " the statistics are at /stats, for the clients in TRACKER_STATS_NETWORKS",
    ],
    [
      { TRACKER_MEMORY_MAX: "15MiB" },
      'TRACKER_MEMORY_MAX is "15MiB", which is out of range: choose 16MiB to 2560MiB',
    ],
    [
      { TRACKER_LOG_FORMAT: "xml" },
      'TRACKER_LOG_FORMAT is "xml", which is not a choice: write logfmt or json',
    ],
    [
      { TRACKER_PRIVATE_ADDRESSES: "yes" },
      'TRACKER_PRIVATE_ADDRESSES is "yes", which is not a choice: write accept or refuse',
    ],
    [
      { TRACKER_ALLOW_IP_PARAMETER: "maybe" },
      'TRACKER_ALLOW_IP_PARAMETER is "maybe", which is neither yes nor no: write yes or no',
    ],
    [
      { TRACKER_ANOUNCE_INTERVAL: "30m" },
      "TRACKER_ANOUNCE_INTERVAL is not a setting: did you mean TRACKER_MIN_INTERVAL",
    ],
    [{ TRACKER_FOO: "1" }, "TRACKER_FOO is not a setting: remove it"],
    [
      { tracker_interval: "1m" },
      "tracker_interval is not a setting: did you mean TRACKER_INTERVAL",
    ],
    [
      { Tracker_Http_Adress: ":80" },
      "Tracker_Http_Adress is not a setting: did you mean TRACKER_HTTP_ADDRESS",
    ],
    [
      { " TRACKER_INTERVAL": "1m" },
      " TRACKER_INTERVAL is not a setting: did you mean TRACKER_INTERVAL",
    ],
    [
      { TRACKER_INTERVALL: "30m" },
      "TRACKER_INTERVALL is not a setting: did you mean TRACKER_INTERVAL",
    ],
    [
      { TRACKER_UDP_ADDRESS: "", TRACKER_HTTP_ADDRESS: "" },
      "TRACKER_UDP_ADDRESS and TRACKER_HTTP_ADDRESS are both empty: keep at least one",
    ],
    [
      { TRACKER_MIN_INTERVAL: "1801" },
      "TRACKER_MIN_INTERVAL is 1801s, longer than TRACKER_INTERVAL: choose at most 30m",
    ],
    [
      { TRACKER_NUMWANT_DEFAULT: "201" },
      "TRACKER_NUMWANT_DEFAULT is 201, more than TRACKER_NUMWANT_MAX: choose at most 200",
    ],
    [
      { TRACKER_PEER_TIMEOUT: "1980" },
      "TRACKER_PEER_TIMEOUT is 33m, so peers would be forgotten between two announces:" +
        " choose more than 33m",
    ],
    [
      { TRACKER_UDP_SECRET: "hunter2" },
      "TRACKER_UDP_SECRET is a secret of 7 characters, which is too short:" +
        " use at least 32 characters, such as those of openssl rand -hex 32",
    ],
  ];
  for (const [env, sentence] of cases) {
    test(sentence, () => {
      expect(problemsOf(env)).toEqual([sentence]);
    });
  }
});

test("values at the limit of a rule are valid", () => {
  expect(problemsOf({ TRACKER_MIN_INTERVAL: "1800" })).toEqual([]);
  expect(problemsOf({ TRACKER_NUMWANT_DEFAULT: "200" })).toEqual([]);
  expect(problemsOf({ TRACKER_PEER_TIMEOUT: "1981" })).toEqual([]);
  expect(problemsOf({ TRACKER_UDP_ADDRESS: "" })).toEqual([]);
  expect(problemsOf({ TRACKER_HTTP_ADDRESS: "" })).toEqual([]);
});

test("all problems are reported together, those of the rules last", () => {
  expect(
    problemsOf({
      TRACKER_LOG_LEVEL: "loud",
      TRACKER_INTERVAL: "soon",
      TRACKER_NUMWANT_DEFAULT: "300",
      TRACKER_ZZZ: "",
    }).map((problem) => problem.split(" ")[0]),
  ).toEqual(["TRACKER_ZZZ", "TRACKER_INTERVAL", "TRACKER_LOG_LEVEL", "TRACKER_NUMWANT_DEFAULT"]);
});

test("an empty variable is not set, unless empty has a meaning", () => {
  const names = descriptions().flatMap(({ variable, secret }) =>
    secret ? [variable, `${variable}_FILE`] : [variable],
  );
  const meaning: Partial<Config> = {
    udpListeners: [],
    httpListeners: [],
    adminListeners: [],
    statsNetworks: [],
    fullScrapeNetworks: [],
  };
  for (const blank of ["", "  "]) {
    const env = Object.fromEntries(names.map((name) => [name, blank]));
    const result = readConfig({ ...env, TRACKER_HTTP_ADDRESS: "[::]:6969" });
    if ("problems" in result) throw new Error(result.problems.join("\n"));
    const { httpListeners } = configOf({});
    expect(result.config).toEqual({ ...configOf({}), ...meaning, httpListeners });
    expect(result.origins["TRACKER_INTERVAL"]).toBe("default");
    expect(result.origins["TRACKER_UDP_ADDRESS"]).toBe("environment");
  }
  const both = { TRACKER_UDP_SECRET: "", TRACKER_UDP_SECRET_FILE: "/nowhere/secret" };
  expect(problemsOf(both)[0]).toContain("is not there");
});

test("settings that could be parsed are returned with the problems", () => {
  const result = readConfig({ TRACKER_INTERVAL: "soon", TRACKER_DENY_FILE: "/lists/deny" });
  if (!("problems" in result)) throw new Error();
  expect(result.understood.denyFile).toBe("/lists/deny");
  expect(result.understood.intervalSeconds).toBeUndefined();
});

test("the minimum interval is half of the interval unless it is set", () => {
  expect(configOf({ TRACKER_INTERVAL: "601" }).minIntervalSeconds).toBe(300);
  expect(configOf({ TRACKER_MIN_INTERVAL: "0" }).minIntervalSeconds).toBe(0);
});

describe("a secret", () => {
  const path = join(folder, "secret");
  writeFileSync(path, "  correct horse battery staple and more\n");

  test("may be in the file that its _FILE variable names, without white space around it", () => {
    const result = readConfig({ TRACKER_UDP_SECRET_FILE: path });
    if ("problems" in result) throw new Error();
    expect(result.config.udpSecret).toBe("correct horse battery staple and more");
    // check asks whether the service may read it, and config prints it.
    expect(result.origins["TRACKER_UDP_SECRET"]).toBe(`file ${path}`);
  });

  test("cannot come from both", () => {
    const both = {
      TRACKER_UDP_SECRET_FILE: path,
      TRACKER_UDP_SECRET: "0123456789abcdef0123456789abcdef",
    };
    expect(problemsOf(both)).toEqual([
      "TRACKER_UDP_SECRET and TRACKER_UDP_SECRET_FILE are both set: keep one",
    ]);
  });

  test("in a file that cannot be read is a problem", () => {
    const missing = join(folder, "missing");
    expect(problemsOf({ TRACKER_UDP_SECRET_FILE: "/nowhere/secret" })).toEqual([
      'TRACKER_UDP_SECRET_FILE is "/nowhere/secret", which is not there:' +
        " correct the path, or create the file",
    ]);
    expect(problemsOf({ TRACKER_UDP_SECRET_FILE: missing })).toHaveLength(1);
    for (const path of [folder, "/dev/zero"]) {
      expect(problemsOf({ TRACKER_UDP_SECRET_FILE: path })[0]).toContain("(not a file)");
    }
  });

  test("in a file that is empty is a problem with that file", () => {
    const empty = join(folder, "empty");
    writeFileSync(empty, " \n");
    expect(problemsOf({ TRACKER_ADMIN_TOKEN_FILE: empty })).toEqual([
      `TRACKER_ADMIN_TOKEN_FILE is ${JSON.stringify(empty)}, which is empty: ` +
        "write the secret into it, such as that of openssl rand -hex 32",
    ]);
  });

  test("is never shown, neither in a problem nor in the values", () => {
    const short = problemsOf({ TRACKER_UDP_SECRET: "hunter2" }).join();
    expect(short).not.toContain("hunter2");
    const values = effectiveValues(
      configOf({ TRACKER_UDP_SECRET: "0123456789abcdef0123456789abcdef" }),
    );
    expect(values).toContainEqual({ variable: "TRACKER_UDP_SECRET", value: "(set)" });
    expect(JSON.stringify(values)).not.toContain("0123456789abcdef0123456789abcdef");
  });
});

test("the values in effect, given back as an environment, are the same configuration", () => {
  const env = {
    TRACKER_UDP_ADDRESS: "*:1,127.0.0.1:2",
    TRACKER_HTTP_ADDRESS: "",
    TRACKER_INTERVAL: "1234",
    TRACKER_TRUSTED_PROXIES: "10.0.0.0/8, ::1",
    TRACKER_ALLOW_IP_PARAMETER: "on",
    TRACKER_MEMORY_MAX: "20000000",
  };
  const config = configOf(env);
  const values = effectiveValues(config).filter(({ value }) => !value.startsWith("("));
  const again = Object.fromEntries(values.map(({ variable, value }) => [variable, value]));
  expect(configOf(again)).toEqual(config);
});

test("any text of a variable gives a configuration or sentences", () => {
  const variable = fc.constantFrom(...descriptions().map((description) => description.variable));
  fc.assert(
    fc.property(fc.array(fc.tuple(variable, fc.string({ unit: "binary" }))), (pairs) => {
      const env = Object.fromEntries(pairs);
      const result = readConfig(env);
      if ("config" in result) return;
      expect(result.problems.length).toBeGreaterThan(0);
      for (const problem of result.problems) expect(problem).toMatch(/^TRACKER_[A-Z_]+ .+: .+$/);
    }),
  );
});

test("every setting belongs to a group, in the order of the groups, and has a text", () => {
  const groups = descriptions().map(({ group }) => GROUPS.indexOf(group));
  expect(groups).toEqual(groups.toSorted((a, b) => a - b));
  for (const { text } of descriptions()) expect(text).toMatch(/^[a-z].*[^.]$/);
});

test.each(["BUN_INSPECT", "BUN_INSPECT_NOTIFY", "BUN_OPTIONS", "BUN_JSC_useJIT"])(
  "%s, which changes the runtime inside the program, is a mistake unless it is empty",
  (name) => {
    const problem = `${name} is set, which changes the program from outside: unset it`;
    expect(problemsOf({ [name]: "0" })).toEqual([problem]);
    expect(problemsOf({ [name]: "" })).toEqual([]);
  },
);

test("variables of other programs without effect here are ignored", () => {
  expect(problemsOf({ NODE_OPTIONS: "--inspect", BUN_INSTALL: "/opt/bun", NODE_ENV: "x" })).toEqual(
    [],
  );
});
