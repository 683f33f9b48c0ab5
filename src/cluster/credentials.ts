/**
 * The key that a tracker proves itself with at NATS servers: a .creds file, which holds a JWT and
 * the seed of its nkey, or the seed of a user's nkey alone. The key itself is never sent.
 */
import type { Authenticator } from "@nats-io/transport-node";

type Nats = typeof import("@nats-io/transport-node");

/** The seed of a user begins so. */
const USER_SEED = "SU";

/** What proves this tracker to a server; throws, perhaps only when it is called, on a bad text. */
export function authenticatorOf(nats: Nats, text: string): Authenticator {
  const encoder = new TextEncoder();
  const seed = text.trim();
  return seed.startsWith(USER_SEED)
    ? nats.nkeyAuthenticator(encoder.encode(seed))
    : nats.credsAuthenticator(encoder.encode(text));
}

/** Why no login is possible with this text, as the end of a sentence; undefined if one is. */
export function credentialsProblem(nats: Nats, text: string): string | undefined {
  if (text.trim() === "") return "is empty";
  let proof: { nkey?: string; jwt?: string };
  try {
    proof = authenticatorOf(nats, text)("nonce") as typeof proof;
  } catch {
    return "is neither a whole .creds file nor the seed of a user's nkey";
  }
  if (proof.jwt === undefined) return undefined;
  const subject = claimsOf(proof.jwt)?.sub;
  if (subject === undefined) return "has a JWT that is damaged";
  return subject === proof.nkey ? undefined : "has a seed that does not belong to its JWT";
}

/** When the JWT of a sound text expires, in seconds since 1970; undefined if it never does. */
export function credentialsExpiry(nats: Nats, text: string): number | undefined {
  const { jwt } = authenticatorOf(nats, text)("nonce") as { jwt?: string };
  const expires = jwt === undefined ? undefined : claimsOf(jwt)?.exp;
  return typeof expires === "number" && expires > 0 ? expires : undefined;
}

/** What a JWT says: the public key that it is about, and its end; undefined if it is damaged. */
function claimsOf(jwt: string): { sub?: string; exp?: number } | undefined {
  try {
    const claims = Buffer.from(jwt.split(".")[1], "base64url").toString();
    return JSON.parse(claims) as { sub?: string; exp?: number };
  } catch {
    return undefined;
  }
}
