/** Errors of sockets and TLS have sentences; unknown errors keep their message. */
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

test("a server that does not answer TLS does not speak HTTPS", () => {
  const wrong = failure("ERR_SSL_WRONG_VERSION_NUMBER", "wrong version number");
  expect(explainNetwork(wrong)).toBe("it does not speak HTTPS on that port");
});

test("other errors keep their code and message", () => {
  expect(explainNetwork(failure("EXYZ", "odd"))).toBe("EXYZ: odd");
  expect(explainNetwork(new Error("no answer in 4 s"))).toBe("no answer in 4 s");
  expect(explainNetwork("gone")).toBe("gone");
});
