/**
 * The certificate of HTTPS: read from its files, and tried before anything relies on it.
 */
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { StartError } from "../ops/start-error.ts";

/** What TLS needs, as PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

/**
 * Reads the pair; undefined if none is configured. Throws a StartError if a file cannot be read, is
 * not what it should be, or the key is not that of the certificate.
 */
export function readCertificate(
  certFile: string | undefined,
  keyFile: string | undefined,
): Certificate | undefined {
  if (certFile === undefined || keyFile === undefined) return undefined;
  const certificate = {
    cert: read(certFile, "TRACKER_TLS_CERT_FILE"),
    key: read(keyFile, "TRACKER_TLS_KEY_FILE"),
  };
  try {
    createSecureContext(certificate);
  } catch (error) {
    const reason = (error as { code?: string }).code ?? "it is not PEM";
    throw new StartError(
      `${certFile} and ${keyFile} cannot be used together (${reason})`,
      "the first must hold the certificate chain, the second its private key, both as PEM",
    );
  }
  return certificate;
}

function read(file: string, variable: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const reason = (error as { code?: string }).code ?? "unknown error";
    throw new StartError(
      `cannot read ${file} (${reason})`,
      `check ${variable} and its permissions`,
    );
  }
}
