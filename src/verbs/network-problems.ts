/**
 * Explains network problems to the operator, from the error codes of sockets and TLS.
 *
 * https://nodejs.org/api/errors.html (codes of sockets)
 * https://nodejs.org/api/tls.html#x509-certificate-error-codes
 */

const WORDS: Record<string, string> = {
  ECONNREFUSED: "nothing listens there: the connection is refused",
  ECONNRESET: "the connection was closed without an answer: is the scheme of the URL right?",
  EHOSTUNREACH: "there is no route to that address from here",
  ENETUNREACH: "there is no route to that address from here: this machine may lack the family",
  EADDRNOTAVAIL: "there is no route to that address from here: this machine may lack the family",
  ETIMEDOUT: "the connection is not answered: a firewall may drop it",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the certificate is self-signed, so clients do not trust it",
  SELF_SIGNED_CERT_IN_CHAIN: "the certificate is signed by an authority that clients do not trust",
  UNABLE_TO_GET_ISSUER_CERT: "the certificate's chain is not complete: serve the full chain",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "the certificate's chain is not complete, or signed by an authority that clients do not trust",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "the certificate's chain is not complete, or signed by an authority that clients do not trust",
  CERT_HAS_EXPIRED: "the certificate has expired",
  CERT_NOT_YET_VALID: "the certificate is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "the certificate is for another name",
};

/** TLS errors if the server does not speak TLS. */
const NO_TLS = /wrong version number|packet length too long|WRONG_VERSION_NUMBER|SSL_ERROR/i;

/** A sentence about an error; an unknown error keeps its own message. */
export function explainNetwork(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code = "" } = error as NodeJS.ErrnoException;
  if (WORDS[code] !== undefined) return WORDS[code];
  if (NO_TLS.test(`${code} ${error.message}`)) return "it does not speak HTTPS on that port";
  return code === "" ? error.message : `${code}: ${error.message}`;
}
