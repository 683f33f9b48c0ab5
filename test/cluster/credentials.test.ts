/** Files of keys that a tracker logs in with, whole and damaged. */
import { describe, expect, test } from "bun:test";
import * as nats from "@nats-io/transport-node";
import {
  authenticatorOf,
  credentialsExpiry,
  credentialsProblem,
} from "../../src/cluster/credentials.ts";

const { nkeys } = nats;
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const user = nkeys.createUser();
const SEED = text(user.getSeed());

/** A JWT whose signature nobody looks at here. */
function jwtFor(subject: string, more: object = {}): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return [part({ alg: "ed25519-nkey" }), part({ sub: subject, ...more }), "c2lnbmF0dXJl"].join(".");
}

function credsOf(jwt: string, seed = SEED): string {
  const block = (name: string, value: string) =>
    `-----BEGIN ${name}-----\n${value}\n------END ${name}------\n`;
  return `${block("NATS USER JWT", jwt)}\n*** IMPORTANT ***\n${block("USER NKEY SEED", seed)}`;
}

const CREDS = credsOf(jwtFor(user.getPublicKey()));

describe("the file of a key", () => {
  test("holds the seed of a user, or a JWT with it", () => {
    for (const whole of [SEED, `${SEED}\n`, CREDS]) {
      expect(credentialsProblem(nats, whole)).toBeUndefined();
      expect(authenticatorOf(nats, whole)("n")).toMatchObject({ nkey: user.getPublicKey() });
    }
  });

  test("tells when its JWT expires, if it does", () => {
    const of = (more: object) => credsOf(jwtFor(user.getPublicKey(), more));
    expect(credentialsExpiry(nats, of({ exp: 1_800_000_000 }))).toBe(1_800_000_000);
    for (const never of [SEED, CREDS, of({ exp: 0 }), of({ exp: "soon" })]) {
      expect(credentialsExpiry(nats, never)).toBeUndefined();
    }
  });

  const BROKEN = "is neither a whole .creds file nor the seed of a user's nkey";
  // Not the last letter: half of its bits are padding.
  const mistyped = `${SEED.slice(0, 30)}${SEED[30] === "A" ? "B" : "A"}${SEED.slice(31)}`;
  const stranger = text(nkeys.createUser().getSeed());
  const account = text(nkeys.createAccount().getSeed());
  test.each([
    ["nothing", "", "is empty"],
    ["words", "hello\n", BROKEN],
    ["half a seed", SEED.slice(0, 30), BROKEN],
    ["a seed with another letter", mistyped, BROKEN],
    ["the seed of an account", account, BROKEN],
    ["half a file", CREDS.slice(0, CREDS.length / 2), BROKEN],
    ["a damaged seed in it", credsOf(jwtFor(user.getPublicKey()), SEED.slice(0, 30)), BROKEN],
    ["a damaged JWT in it", credsOf("eyJ0.e30x.abc"), "has a JWT that is damaged"],
    [
      "the seed of another user",
      credsOf(jwtFor(user.getPublicKey()), stranger),
      "has a seed that does not belong to its JWT",
    ],
  ])("%s is told", (_, content, problem) => {
    expect(credentialsProblem(nats, content)).toBe(problem);
  });
});
