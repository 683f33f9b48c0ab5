/**
 * The certificate of HTTPS: read from its files and checked before use.
 */
import { codeOf, readRemedy } from "../host/file-errors.ts";
import { notThis, readSmallFile } from "../host/plain-file.ts";
import { StartError } from "../host/start-error.ts";

/** Certificate chain and private key, as PEM. */
export interface Certificate {
  cert: string;
  key: string;
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
  if (typeof cert !== "string" || typeof key !== "string") {
    return [cert, key].filter((part) => part instanceof StartError);
  }
  try {
    const empty = cert === "" ? certFile : key === "" ? keyFile : undefined;
    // createSecureContext takes an empty text as an absent one, which is no mistake to it.
    if (empty !== undefined) throw notThis(`${empty} is empty`);
    // Loaded here, because the module takes 7 MB, and without a certificate nothing needs it.
    process.getBuiltinModule("node:tls").createSecureContext({ cert, key });
    return { cert, key };
  } catch (error) {
    const reason = (error as { code?: string }).code ?? "it is not PEM";
    const message = `${certFile} and ${keyFile} cannot be used together (${reason})`;
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

function read(file: string, variable: string): string | StartError {
  try {
    return readSmallFile(file);
  } catch (error) {
    const code = codeOf(error);
    const message = `${variable} is ${file}, which cannot be read (${code})`;
    return new StartError(message, readRemedy(code));
  }
}
