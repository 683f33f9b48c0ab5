/** What is said of a login at the NATS servers that ends on a day. */
import { describe, expect, test } from "bun:test";
import { explainByEnd, firstEnd, loginWarnings } from "../../src/start/login-end.ts";

const DAY = 86_400;
const NOW = Date.parse("2026-11-27T12:00Z") / 1000;
const CERT = { variable: "TRACKER_CLUSTER_TLS_CERT_FILE", file: "/etc/nats/own.crt" };
const CREDENTIALS = { variable: "TRACKER_CLUSTER_CREDENTIALS_FILE", file: "/etc/nats/own.creds" };
const REMEDY =
  "renew the file: it is read at the next connection, and when the tracker is reloaded";

describe("a login", () => {
  test("that ends within 14 days, or has ended, is warned of, with the file and the day", () => {
    const ends = [
      { ...CERT, endsSeconds: NOW + 13.5 * DAY },
      { ...CREDENTIALS, endsSeconds: NOW - 2.5 * DAY },
      { ...CERT, endsSeconds: NOW + 14 * DAY },
    ];
    expect(loginWarnings({ ends }, NOW)).toEqual([
      {
        message: "a login at the NATS servers expires soon",
        fields: {
          ...{ setting: CERT.variable, file: CERT.file },
          ...{ expires: "2026-12-11T00:00Z", days_left: "13", remedy: REMEDY },
        },
      },
      {
        message: "a login at the NATS servers has expired: they refuse this tracker",
        fields: {
          ...{ setting: CREDENTIALS.variable, file: CREDENTIALS.file },
          ...{ expired: "2026-11-25T00:00Z", days_ago: "2", remedy: REMEDY },
        },
      },
    ]);
  });

  test("that has ended explains a refusal, and one that has not does not", () => {
    const refusal = { reason: "Authorization Violation", remedy: "set it right" };
    const good = { ends: [{ ...CERT, endsSeconds: NOW + 1 }] };
    expect(explainByEnd(refusal, good, NOW)).toBe(refusal);
    expect(explainByEnd(refusal, {}, NOW)).toBe(refusal);
    const ended = { ends: [...good.ends, { ...CREDENTIALS, endsSeconds: NOW - DAY }] };
    expect(explainByEnd(refusal, ended, NOW)).toEqual({
      reason:
        "Authorization Violation; TRACKER_CLUSTER_CREDENTIALS_FILE is /etc/nats/own.creds, " +
        "which expired 2026-11-26T12:00Z",
      remedy: REMEDY,
    });
  });

  test("has the first of its ends as its own, or none", () => {
    const at = (endsSeconds: number) => ({ ...CERT, endsSeconds });
    expect([firstEnd({ ends: [at(9), at(7)] }), firstEnd({}), firstEnd({ ends: [] })]).toEqual([
      7,
      null,
      null,
    ]);
  });
});
