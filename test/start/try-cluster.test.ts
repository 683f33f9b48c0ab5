/** What `check` warns of, before it tries a NATS server. */
import { expect, test } from "bun:test";
import { exposure } from "../../src/start/try-cluster.ts";

const FAR = { host: "192.0.2.1", port: 4222, tls: false, user: undefined, password: undefined };
const OPEN = "nats://192.0.2.1:4222 is not on this machine, and";
const CLEAR = `${OPEN} addresses of peers go there in the clear: write tls://`;
const ANYBODY =
  `${OPEN} any program that reaches it may name any peer: ` +
  "set TRACKER_CLUSTER_USER and TRACKER_CLUSTER_PASSWORD_FILE";

test("a server beyond loopback needs TLS and a login", () => {
  expect(exposure(FAR, {})).toEqual([CLEAR, ANYBODY]);
  expect(exposure(FAR, { user: "u", password: "p" })).toEqual([CLEAR]);
  // Files are for servers that are reached by tls://.
  expect(exposure(FAR, { ca: "PEM" })).toEqual([CLEAR, ANYBODY]);
  expect(exposure(FAR, { cert: "PEM", key: "PEM" })).toEqual([CLEAR, ANYBODY]);
  expect(exposure({ ...FAR, tls: true, user: "u", password: "p" }, {})).toEqual([]);
  expect(exposure({ ...FAR, tls: true }, { ca: "PEM" })).toEqual([
    ANYBODY.replace("nats:", "tls:"),
  ]);
  expect(exposure({ ...FAR, tls: true }, { cert: "PEM", key: "PEM" })).toEqual([]);
  expect(exposure({ ...FAR, tls: true }, { credentials: "SUA" })).toEqual([]);
});

test("a server on this machine needs neither", () => {
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) {
    expect(exposure({ ...FAR, host }, {})).toEqual([]);
  }
});
