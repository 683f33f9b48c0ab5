/**
 * Certificates for tests, made by the `openssl` program where there is one.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Made in milliseconds; an RSA key takes seconds on a busy machine. */
const P256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

/**
 * Makes a self-signed certificate for `name`, and for what `alternatives` says, such as
 * `IP:127.0.0.1`; `newKey` says how its key is made. Returns the paths of its two files.
 */
export function makeCertificate(
  directory: string,
  name: string,
  days = 90,
  alternatives = "",
  newKey = P256,
): { cert: string; key: string } {
  const cert = join(directory, `${name}.cert.pem`);
  const key = join(directory, `${name}.key.pem`);
  const args = ["req", "-x509", ...newKey, "-nodes", "-days", String(days)];
  if (alternatives !== "") args.push("-addext", `subjectAltName=${alternatives}`);
  const made = Bun.spawnSync(
    ["openssl", ...args, "-keyout", key, "-out", cert, "-subj", `/CN=${name}`],
    { stderr: "ignore" },
  );
  if (made.exitCode !== 0) throw new Error("openssl could not make a certificate");
  return { cert, key };
}

/** Makes one that was good for the year 2020 only. */
export function makeExpiredCertificate(
  directory: string,
  name: string,
): { cert: string; key: string } {
  const { cert, key } = makeCertificate(directory, name);
  const path = (end: string): string => join(directory, `${name}.${end}`);
  writeFileSync(path("index"), "");
  const settings = [
    ...["[ca]", "default_ca = own", "[own]", "rand_serial = yes", "default_md = sha256"],
    ...[`database = ${path("index")}`, `new_certs_dir = ${directory}`, "policy = names"],
    ...["[names]", "commonName = supplied"],
  ];
  writeFileSync(path("conf"), `${settings.join("\n")}\n`);
  const request = ["req", "-new", "-key", key, "-subj", `/CN=${name}`, "-out", path("csr")];
  const days = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"];
  const sign = ["ca", "-selfsign", "-batch", "-notext", "-config", path("conf"), "-keyfile", key];
  for (const args of [request, [...sign, "-in", path("csr"), "-out", cert, ...days]]) {
    const made = Bun.spawnSync(["openssl", ...args], { stderr: "pipe" });
    if (made.exitCode !== 0) throw new Error(`openssl: ${made.stderr.toString()}`);
  }
  return { cert, key };
}

/** False where there is no `openssl`: tests that need a certificate cannot run there. */
makeCertificate.possible = Bun.which("openssl") !== null;
