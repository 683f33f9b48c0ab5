/**
 * How this tracker logs in at the NATS servers of its cluster, from the settings and the files that
 * they name. A file that is missing or damaged ends the start: no server would let it in.
 *
 * A login that was renewed is used at the next connection: the files are read again before it, and
 * on SIGHUP. If one of them is wrong then, the login stays as it was.
 */
import type { Login, LoginEnd } from "../cluster/link.ts";
import type { Config, Origins } from "../config/schema.ts";
import { codeOf, handOverRemedy, notRead } from "../host/file-errors.ts";
import { certificateProblem, expiriesOf, type PemFile, pairProblems } from "../host/pem.ts";
import { readSmallFile } from "../host/plain-file.ts";
import { StartError } from "../host/start-error.ts";
import { fileOf } from "./service-user.ts";

/** The settings of the login; the password may be in a file, which is read again as well. */
export type LoginSettings = Partial<Config> & { clusterPasswordFile?: string | undefined };

/** The login of a tracker that runs. */
export class LoginKeeper {
  /** As it was read last. */
  login: Login;
  readonly #settings: LoginSettings;

  private constructor(settings: LoginSettings, login: Login) {
    this.#settings = settings;
    this.login = login;
  }

  /** Reads the files, before any socket is bound. Rejects with a StartError. */
  static async open(config: Config, origins: Origins): Promise<LoginKeeper> {
    const clusterPasswordFile = fileOf(origins, "TRACKER_CLUSTER_PASSWORD");
    const settings = { ...config, clusterPasswordFile };
    return new LoginKeeper(settings, await readLogin(settings));
  }

  /** Reads the files again, and changes nothing. Rejects with a StartError. */
  read(): Promise<Login> {
    return readLogin(this.#settings);
  }

  /** The login for a new connection. `wrong` is told why it is the old one. */
  async renew(wrong: (problem: StartError) => void): Promise<Login> {
    const login = await tryLogin(this.#settings);
    if (Array.isArray(login)) wrong(login[0]);
    else this.login = login;
    return this.login;
  }
}

/** Reads the files. Rejects with a StartError. */
export async function readLogin(settings: LoginSettings): Promise<Login> {
  const login = await tryLogin(settings);
  if (Array.isArray(login)) throw login[0];
  return login;
}

/** The login, or all problems of its files. */
export async function tryLogin(config: LoginSettings): Promise<Login | StartError[]> {
  const problems: StartError[] = [];
  const read = (variable: string, file: string | undefined): PemFile | undefined => {
    if (file === undefined) return undefined;
    try {
      return { variable, file, text: readSmallFile(file) };
    } catch (error) {
      const code = codeOf(error);
      const message = `${variable} is ${file}, which ${notRead(code)}`;
      problems.push(new StartError(message, handOverRemedy(file, code)));
      return undefined;
    }
  };
  const credentials = read("TRACKER_CLUSTER_CREDENTIALS_FILE", config.clusterCredentialsFile);
  const ca = read("TRACKER_CLUSTER_TLS_CA_FILE", config.clusterTlsCaFile);
  const cert = read("TRACKER_CLUSTER_TLS_CERT_FILE", config.clusterTlsCertFile);
  const key = read("TRACKER_CLUSTER_TLS_KEY_FILE", config.clusterTlsKeyFile);
  const password = read("TRACKER_CLUSTER_PASSWORD_FILE", config.clusterPasswordFile);
  if (password?.text.trim() === "") {
    const { variable, file } = password;
    problems.push(new StartError(`${variable} is ${file}, which is empty`, "write it again"));
  }
  if (credentials !== undefined) problems.push(...(await damageOf(credentials)));
  if (ca !== undefined)
    problems.push(...[certificateProblem(ca)].filter((one) => one !== undefined));
  if (cert !== undefined && key !== undefined) problems.push(...pairProblems(cert, key));
  if (problems.length > 0) return problems;
  return {
    ...{ user: config.clusterUser, password: password?.text.trim() ?? config.clusterPassword },
    ...{ credentials: credentials?.text, ca: ca?.text, cert: cert?.text, key: key?.text },
    ends: await endsOf({ credentials, ca, cert }),
  };
}

/** What of these sound files is good only up to a day. */
async function endsOf({
  credentials,
  ca,
  cert,
}: Record<"credentials" | "ca" | "cert", PemFile | undefined>): Promise<LoginEnd[]> {
  const ends: LoginEnd[] = [];
  const note = (pem: PemFile, endsSeconds: number | undefined): void => {
    const { variable, file } = pem;
    if (endsSeconds !== undefined) ends.push({ variable, file, endsSeconds });
  };
  if (credentials !== undefined) {
    const [nats, { credentialsExpiry }] = await loadKeys();
    note(credentials, credentialsExpiry(nats, credentials.text));
  }
  // A chain is as good as its first to end, and authorities as long as one of them is.
  if (cert !== undefined) note(cert, expiriesOf(cert.text).at(0));
  if (ca !== undefined) note(ca, expiriesOf(ca.text).at(-1));
  return ends;
}

/** What is wrong with a .creds file or the seed of an nkey. */
async function damageOf({ variable, file, text }: PemFile): Promise<StartError[]> {
  const [nats, { credentialsProblem }] = await loadKeys();
  const problem = credentialsProblem(nats, text);
  if (problem === undefined) return [];
  const hint = "copy the file again as it was made, for instance by nsc";
  return [new StartError(`${variable} is ${file}, which ${problem}`, hint)];
}

const loadKeys = () =>
  Promise.all([import("@nats-io/transport-node"), import("../cluster/credentials.ts")]);
