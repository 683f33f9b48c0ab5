/** Failures of sockets and of TLS are told in words, and those nobody foresaw in their own. */
import { expect, test } from "bun:test";

import { explainNetwork } from "../../src/verbs/network-problems.ts";

const failure = (code: string, message = "socket") => Object.assign(new Error(message), { code });

test.each([
  ["ECONNREFUSED", "nothing listens there: the connection is refused"],
  ["CERT_HAS_EXPIRED", "the certificate has expired"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "the certificate is self-signed, so clients do not trust it"],
])("%s is: %s", (code, words) => {
  expect(explainNetwork(failure(code))).toBe(words);
});

test("who answers TLS with something else does not speak HTTPS", () => {
  const wrong = failure("ERR_SSL_WRONG_VERSION_NUMBER", "wrong version number");
  expect(explainNetwork(wrong)).toBe("it does not speak HTTPS on that port");
});

test("other failures keep their code and their words", () => {
  expect(explainNetwork(failure("EXYZ", "odd"))).toBe("EXYZ: odd");
  expect(explainNetwork(new Error("no answer in 4 s"))).toBe("no answer in 4 s");
  expect(explainNetwork("gone")).toBe("gone");
});
