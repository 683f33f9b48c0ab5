/**
 * The certificate of HTTPS: read from its files and checked before use.
 *
 * Also the answer to a client that speaks plain HTTP to an address of HTTPS.
 */
import { codeOf, handOverRemedy, notRead } from "../host/file-errors.ts";
import type { Libc } from "../host/libc.ts";
import { expiriesOf, type PemFile, pairProblems } from "../host/pem.ts";
import { readSmallFile } from "../host/plain-file.ts";
import { StartError } from "../host/start-error.ts";

/** Certificate chain and private key, as PEM. */
export interface Certificate {
  cert: string;
  key: string;
  /** When the first of the chain expires, in seconds since 1970; undefined if it is not known. */
  expiresSeconds?: number | undefined;
}

/** What helps if a user may not read the files. */
export const HAND_OVER =
  "let systemd hand it over with LoadCredential in the unit, or let certbot's deploy hook copy " +
  'it for that user: see "Certificates" in docs/operating.md';

/** How BoringSSL says that the first bytes were those of an HTTP request. */
const HTTP_REQUEST = /:HTTP_REQUEST$/;

const USE_HTTPS = "this port speaks HTTPS: begin the URL with https:// instead of http://";
const PLAIN_BODY = `d14:failure reason${USE_HTTPS.length}:${USE_HTTPS}e`;

/**
 * The answer to a request in plain HTTP, which is never read. Announces are most of them, so the
 * body is a failure in bencode, which people can read too; some clients show the reason phrase.
 */
const PLAIN_HTTP_ANSWER = Buffer.from(
  "HTTP/1.1 400 This port speaks HTTPS\r\nContent-Type: text/plain\r\n" +
    `Content-Length: ${PLAIN_BODY.length}\r\nConnection: close\r\n\r\n${PLAIN_BODY}`,
);

/**
 * Answers a client whose handshake failed because it speaks HTTP without TLS, beneath TLS, for
 * which Bun's sockets have no way. False if the handshake failed for another reason, or if nothing
 * can send: without a C library, as on systems other than Linux.
 */
export function answerPlainHttp(
  libc: Pick<Libc, "sendBytes"> | undefined,
  fd: number | undefined,
  error: Error | null,
): boolean {
  if (libc === undefined || fd === undefined) return false;
  if (!HTTP_REQUEST.test(error?.message ?? "")) return false;
  libc.sendBytes(fd, PLAIN_HTTP_ANSWER);
  return true;
}

/**
 * Reads the pair; undefined if none is configured. Throws a StartError if a file is unreadable or
 * invalid, or if the key does not belong to the certificate.
 */
export function readCertificate(
  certFile: string | undefined,
  keyFile: string | undefined,
): Certificate | undefined {
  if (certFile === undefined || keyFile === undefined) return undefined;
  const certificate = tryCertificate(certFile, keyFile);
  if (Array.isArray(certificate)) throw certificate[0];
  return certificate;
}

/** The pair, or all errors of both files. Never throws. */
export function tryCertificate(certFile: string, keyFile: string): Certificate | StartError[] {
  const cert = read(certFile, "TRACKER_TLS_CERT_FILE");
  const key = read(keyFile, "TRACKER_TLS_KEY_FILE");
  if (cert instanceof StartError || key instanceof StartError) {
    return [cert, key].filter((part) => part instanceof StartError);
  }
  const problems = pairProblems(cert, key);
  if (problems.length > 0) return problems;
  const pair = { cert: cert.text, key: key.text };
  try {
    // Loaded here, because the module takes 7 MB, and without a certificate nothing needs it.
    process.getBuiltinModule("node:tls").createSecureContext(pair);
    return { ...pair, expiresSeconds: expiriesOf(pair.cert).at(0) };
  } catch (error) {
    const message = `${certFile} and ${keyFile} cannot be used together (${codeOf(error)})`;
    const hint = "the first must hold the certificate chain, the second its private key, as PEM";
    return [new StartError(message, hint)];
  }
}

/** What uses a certificate. */
interface Renewable {
  /** Uses this certificate from now on. Throws, and goes on with the old one, if it cannot. */
  renew(certificate: Certificate): void;
}

/** Renews all of them or, if one throws, none: those before it get the `old` one again. */
export function renewAll(
  parts: readonly Renewable[],
  certificate: Certificate,
  old: Certificate | undefined,
): void {
  const renewed: Renewable[] = [];
  try {
    for (const part of parts) {
      part.renew(certificate);
      renewed.push(part);
    }
  } catch (error) {
    if (old !== undefined) for (const part of renewed) part.renew(old);
    throw error;
  }
}

function read(file: string, variable: string): PemFile | StartError {
  try {
    return { variable, file, text: readSmallFile(file) };
  } catch (error) {
    const code = codeOf(error);
    const hint = code === "EACCES" ? HAND_OVER : handOverRemedy(file, code);
    return new StartError(`${variable} is ${file}, which ${notRead(code)}`, hint);
  }
}
