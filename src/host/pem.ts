/**
 * Whether certificates and keys are what a setting wants, as PEM: what is wrong with a file is said
 * at the start, with the name of the variable, and not by the first handshake.
 */
import { StartError } from "./start-error.ts";

/** The text of a file, and the setting that names it. */
export interface PemFile {
  variable: string;
  file: string;
  text: string;
}

const BEGIN = /(?=-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----)/;
/** One certificate of a chain. */
const WHOLE = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]+-----END [A-Z0-9 ]+-----/g;
const KEY_BEGIN = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/;
/** The code of the error for a key that has a passphrase. */
const PASSPHRASE = "ERR_MISSING_PASSPHRASE";

/** The problem of a file that must hold certificates; undefined if all are whole. */
export function certificateProblem({ variable, file, text }: PemFile): StartError | undefined {
  const hint = "the file must hold whole certificates as PEM: copy it again";
  const certificates = text.split(BEGIN).filter((part) => part.search(BEGIN) === 0);
  if (text.trim() === "") return new StartError(`${variable} is ${file}, which is empty`, hint);
  if (certificates.length === 0) {
    return new StartError(`${variable} is ${file}, which holds no certificate as PEM`, hint);
  }
  const bad = certificates.findIndex((pem) => !isCertificate(pem));
  if (bad < 0) return undefined;
  const which = certificates.length === 1 ? "the certificate" : `certificate ${bad + 1}`;
  return new StartError(`${variable} is ${file}, in which ${which} is damaged`, hint);
}

/** The problem of a file that must hold a private key; undefined if it does. */
export function keyProblem({ variable, file, text }: PemFile): StartError | undefined {
  const hint = "the file must hold the private key of the certificate as PEM: copy it again";
  if (text.trim() === "") return new StartError(`${variable} is ${file}, which is empty`, hint);
  if (!KEY_BEGIN.test(text)) {
    return new StartError(`${variable} is ${file}, which holds no private key as PEM`, hint);
  }
  try {
    crypto().createPrivateKey(text);
    return undefined;
  } catch (error) {
    if ((error as { code?: string }).code !== PASSPHRASE) {
      return new StartError(`${variable} is ${file}, in which the private key is damaged`, hint);
    }
    const remove = "write the key to another file without it: openssl pkey -in FILE -out OTHER";
    return new StartError(`${variable} is ${file}, whose private key has a passphrase`, remove);
  }
}

/** All problems of a chain and its key, among them that the two do not belong together. */
export function pairProblems(certificate: PemFile, key: PemFile): StartError[] {
  const problems = [certificateProblem(certificate), keyProblem(key)];
  const found = problems.filter((problem) => problem !== undefined);
  if (found.length > 0) return found;
  const { X509Certificate, createPrivateKey } = crypto();
  const first = new X509Certificate(certificate.text);
  if (first.checkPrivateKey(createPrivateKey(key.text))) return [];
  const what = `which is not the key of the first certificate in ${certificate.file}`;
  const hint = `name the key of this certificate, or correct ${certificate.variable}`;
  return [new StartError(`${key.variable} is ${key.file}, ${what}`, hint)];
}

/** When the certificates of a file expire, in seconds since 1970, the first one first. */
export function expiriesOf(text: string): number[] {
  const { X509Certificate } = crypto();
  try {
    const ends = (text.match(WHOLE) ?? []).map((pem) => new X509Certificate(pem).validTo);
    const seconds = ends.map((end) => Date.parse(end) / 1000);
    return seconds.filter(Number.isFinite).sort((one, other) => one - other);
  } catch {
    return [];
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new (crypto().X509Certificate)(pem).subject !== undefined;
  } catch {
    return false;
  }
}

/** Loaded here, because nothing needs the module without a certificate. */
const crypto = () => process.getBuiltinModule("node:crypto");
