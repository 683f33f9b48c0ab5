/** The operator's token, sent as bearer or proven by a MAC. */
import { beforeEach, describe, expect, test } from "bun:test";

import { NONCE_SECONDS } from "../../src/admin/nonces.ts";
import { Proof } from "../../src/admin/proof.ts";
import { Token } from "../../src/admin/token.ts";

const SECRET = "correct-horse-battery";
const METHOD = { method: "PUT", target: "/maintenance" };
const VERB_NONCE = "ab".repeat(32);

let seconds = 0;
// Wrong tokens of one test do not slow the next.
beforeEach(() => {
  seconds += 60;
});
const token = new Token(SECRET, () => seconds);
const judge = (authorization: string | null) => token.judge({ authorization, ...METHOD });

test.each([[`Bearer ${SECRET}`], [`bearer ${SECRET}`], [`Bearer   ${SECRET} `]])(
  "%j is good",
  (header) => {
    expect(judge(header)).toBe("good");
  },
);

test.each([
  [""],
  ["Bearer"],
  ["Bearer "],
  [SECRET],
  [`Basic ${SECRET}`],
  [`Bearer ${SECRET}x`],
  [`Bearer ${SECRET.slice(1)}`],
  [`Bearer ${SECRET.toUpperCase()}`],
  [`Bearer ${SECRET} ${SECRET}`],
  ["Buntracker"],
  [`Buntracker ${SECRET}`],
  [`Buntracker ${VERB_NONCE} ${"0".repeat(104)} ${"0".repeat(64)}`],
])("%j is wrong", (header) => {
  expect(judge(header)).toBe("wrong");
});

test("a request without a token is missing one, not wrong", () => {
  expect(judge(null)).toBe("missing");
});

test("without a secret every request is refused", () => {
  const none = new Token(undefined, () => 0);
  for (const authorization of [null, "", "Bearer ", "Bearer undefined", `Bearer ${SECRET}`]) {
    expect(none.judge({ authorization, ...METHOD })).toBe("no token is set");
  }
  expect(none.isSet).toBe(false);
  expect(none.prove(VERB_NONCE)).toBeUndefined();
});

describe("a request with a MAC", () => {
  const proof = new Proof(SECRET);

  /** Signs a request as a verb does, with what the tracker answered to its challenge. */
  function sign({
    by = proof,
    method = "PUT",
    target = "/maintenance",
    verbNonce = VERB_NONCE,
  } = {}) {
    const [nonce] = token.prove(VERB_NONCE)!.split(" ");
    return `Buntracker ${verbNonce} ${nonce} ${by.ofRequest(VERB_NONCE, nonce!, method, target)}`;
  }

  test("is good once, and its answer is proven", () => {
    const authorization = sign();
    expect(judge(authorization)).toBe("good");
    expect(judge(authorization)).toBe("wrong");
    const mac = authorization.split(" ")[3]!;
    expect(token.proveAnswer(authorization, 200, "x")).toBe(proof.ofAnswer(mac, 200, "x"));
    expect(token.proveAnswer(`Bearer ${SECRET}`, 200, "x")).toBeUndefined();
  });

  test("is good for that request only", () => {
    expect(judge(sign({ method: "DELETE" }))).toBe("wrong");
    expect(judge(sign({ target: "/access/deny/00" }))).toBe("wrong");
    expect(judge(sign({ verbNonce: "cd".repeat(32) }))).toBe("wrong");
    expect(judge(sign({ by: new Proof("another-token-0123") }))).toBe("wrong");
    expect(judge(`${sign()}0`)).toBe("wrong");
  });

  test("is good for a short time", () => {
    const authorization = sign();
    seconds += NONCE_SECONDS;
    expect(judge(authorization)).toBe("wrong");
  });

  test("is not valid for a tracker that was restarted", () => {
    const authorization = sign();
    expect(new Token(SECRET, () => seconds).judge({ authorization, ...METHOD })).toBe("wrong");
  });

  test("may be wrong any number of times: only a good one spends its nonce", () => {
    const authorization = sign();
    expect(judge(authorization.replace(/.$/, "g"))).toBe("wrong");
    const flipped = authorization.endsWith("0") ? "1" : "0";
    expect(judge(authorization.slice(0, -1) + flipped)).toBe("wrong");
    expect(judge(authorization)).toBe("good");
  });
});

test("ten wrong tokens are checked at once, then one a second; MACs always", () => {
  const judged = (authorization: string, times: number) =>
    Array.from({ length: times }, () => judge(authorization));
  const many = "too many" as const;
  expect(judged("Bearer wrong", 12)).toEqual([...Array<"wrong">(10).fill("wrong"), many, many]);
  expect(judge(`Bearer ${SECRET}`)).toBe("too many");
  const proof = new Proof(SECRET);
  const [nonce] = token.prove(VERB_NONCE)!.split(" ");
  const mac = proof.ofRequest(VERB_NONCE, nonce!, METHOD.method, METHOD.target);
  expect(judge(`Buntracker ${VERB_NONCE} ${nonce} ${mac}`)).toBe("good");
  seconds += 1;
  expect(judge(`Bearer ${SECRET}`)).toBe("good");
  expect(judged("Bearer wrong", 2)).toEqual(["wrong", "too many"]);
});

test("a challenge is answered with a proof, and needs a nonce of the verb", () => {
  const [nonce, mac] = token.prove(VERB_NONCE)!.split(" ");
  expect(mac).toBe(new Proof(SECRET).ofTracker(VERB_NONCE, nonce!));
  for (const wrong of ["", "ab", `${VERB_NONCE}0`, VERB_NONCE.toUpperCase(), "x".repeat(64)]) {
    expect(token.prove(wrong)).toBeUndefined();
  }
});
