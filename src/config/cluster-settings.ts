/**
 * The settings of a cluster: with which trackers this one shares its peers, over which NATS
 * servers. They are part of the schema (see schema.ts).
 */
import { hostname } from "node:os";

import { isIPv6 } from "../net/addresses.ts";
import { optional, setting } from "./description.ts";
import { Fault, type Kind, list, name, parseHostName, quote, reader, secret } from "./settings.ts";

/** A NATS server, and what its URL says of how to reach it. */
export interface Engine {
  /** A host name or an IP literal without brackets. */
  host: string;
  port: number;
  /** True for tls://. */
  tls: boolean;
  user: string | undefined;
  password: string | undefined;
}

/** The port of NATS. */
const PORT_USUAL = 4222;
const NAME_CHARACTERS_MAX = 64;
/** A hello has room for as many bytes of a name. */
const NODE_BYTES_MAX = 64;

/** Where this tracker finds others, and how it is let in. */
export const CLUSTER_SETTINGS = {
  clusterUrls: setting("Cluster", "TRACKER_CLUSTER_URL", engines(), {
    text:
      "servers of NATS to share peers over, nats://host:4222 or tls://host:4222, several by " +
      "comma, nearest first; empty shares with nobody. A login in a URL, " +
      "nats://user:password@host:4222, goes before TRACKER_CLUSTER_USER",
    reason: "To answer from several machines, each of which knows the peers of all.",
    initial: "",
    show: (value: Engine[]) => value.map(showEngine).join(","),
    quote: quoteUrls,
  }),
  clusterName: setting("Cluster", "TRACKER_CLUSTER_NAME", clusterName(), {
    text: "trackers of this name share peers: letters, digits, - and _",
    reason: "For several clusters on the same NATS servers.",
    initial: "default",
  }),
  clusterNode: setting("Cluster", "TRACKER_CLUSTER_NODE", nodeName(), {
    text: "name of this tracker in the logs, metrics and pages of all",
    reason: "When the host name does not tell one tracker from another.",
    initial: "the host name",
    compute: () => hostname().slice(0, NODE_BYTES_MAX) || "node",
  }),
  clusterUser: optional("Cluster", "TRACKER_CLUSTER_USER", name(), {
    text: "user to log in with at the NATS servers",
    reason: "A program that may publish there may name any peer: let only trackers in.",
    initial: "none",
  }),
  clusterPassword: optional("Cluster", "TRACKER_CLUSTER_PASSWORD", secret(1), {
    text: "password of that user",
    reason: "A program that may publish there may name any peer: let only trackers in.",
    initial: "none",
    secret: true,
  }),
  clusterCredentialsFile: optional("Cluster", "TRACKER_CLUSTER_CREDENTIALS_FILE", name(), {
    text: "file to log in with instead: .creds, or the seed of an nkey",
    reason: "For NATS servers whose accounts use keys.",
    initial: "none",
  }),
  clusterTlsCaFile: optional("Cluster", "TRACKER_CLUSTER_TLS_CA_FILE", name(), {
    text: "certificates, as PEM, of which one must have signed that of a NATS server",
    reason: "For certificates that your own authority has signed.",
    initial: "those that the system trusts",
  }),
  clusterTlsCertFile: optional("Cluster", "TRACKER_CLUSTER_TLS_CERT_FILE", name(), {
    text: "certificate chain, as PEM, that this tracker shows to NATS servers",
    reason: "For NATS servers that let in only clients with a certificate.",
    initial: "none",
  }),
  clusterTlsKeyFile: optional("Cluster", "TRACKER_CLUSTER_TLS_KEY_FILE", name(), {
    text: "private key of that certificate",
    reason: "For NATS servers that let in only clients with a certificate.",
    initial: "none",
  }),
};

/** A server as people write it, without its password: tls://user@host:4222. */
export function showEngine({ host, port, tls, user }: Engine): string {
  const login = user === undefined ? "" : `${encodeURIComponent(user)}@`;
  return `${tls ? "tls" : "nats"}://${login}${showPlace({ host, port })}`;
}

/** Host and port of a server. */
export function showPlace({ host, port }: Pick<Engine, "host" | "port">): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function engines(): Kind<Engine[]> {
  return { schema: list("URL of a NATS server", readEngine, quoteUrls), range: "" };
}

/** URLs for a message, without the login: also where they are wrong, a password may be in them. */
function quoteUrls(text: string): string {
  return quote(text.split(",").map(withoutLogin).join(","));
}

function withoutLogin(url: string): string {
  const scheme = /^\s*[a-z]+:\/\//i.exec(url)?.[0] ?? "";
  const rest = url.slice(scheme.length);
  const end = rest.lastIndexOf("@");
  if (end >= 0) return `${scheme}…${rest.slice(end)}`;
  // A user and a password whose host is missing, not a host and a port.
  const [user, password] = /^([^:[]*):(.*)$/.exec(rest)?.slice(1) ?? [];
  return password === undefined || /^\d*\/?$/.test(password) ? url : `${scheme}${user}:…`;
}

function readEngine(text: string): Engine | Fault {
  const form = /^(nats|tls):\/\/(?:([^@/]*)@)?(\[[^\]]*\]|[^:/@[\]]*)(?::(\d{1,5}))?\/?$/i;
  const [, scheme, login, host = "", digits] = form.exec(text) ?? [];
  const port = Number(digits ?? PORT_USUAL);
  if ((text.match(/@/g) ?? []).length > 1) {
    return new Fault("has more than one @: write that of a user or a password as %40");
  }
  if (scheme === undefined || port === 0 || port > 65_535) {
    return new Fault("is no URL of a NATS server: write nats://host:4222 or tls://host:4222");
  }
  const bare = host.startsWith("[") ? host.slice(1, -1) : host;
  if (host.startsWith("[") ? !isIPv6(bare) : "problem" in parseHostName(host)) {
    return new Fault("has no host name or address: write nats://host:4222 or tls://[::1]:4222");
  }
  const read = readLogin(login);
  if (read instanceof Fault) return read;
  const [user, password] = read;
  if ((user === undefined) !== (password === undefined)) {
    return new Fault("has a user without a password: write nats://user:password@host:4222");
  }
  return { host: bare.toLowerCase(), port, tls: scheme.toLowerCase() === "tls", user, password };
}

/** User and password in a URL, where signs such as @ are written as %40. */
function readLogin(
  login: string | undefined,
): [user: string | undefined, password: string | undefined] | Fault {
  if (login === undefined) return [undefined, undefined];
  const [user, ...rest] = login.split(":");
  try {
    const password = rest.length === 0 ? undefined : decodeURIComponent(rest.join(":"));
    return [decodeURIComponent(user), password];
  } catch {
    const remedy = "write a % of the user or the password as %25";
    return new Fault(`has a % in its login that begins no escape such as %40: ${remedy}`);
  }
}

function clusterName(): Kind<string> {
  const schema = reader((typed, complain) => {
    const text = typed.trim();
    const { length } = text;
    if (length > NAME_CHARACTERS_MAX) {
      return complain(`which has ${length} characters: write at most ${NAME_CHARACTERS_MAX}`);
    }
    if (/^[A-Za-z0-9_-]+$/.test(text)) return text;
    const allowed = "letters of A to Z, digits, - and _";
    if (length === 0) return complain(`which is empty: write ${allowed}, or leave it out`);
    const wrong = quote([...text.replaceAll(/[A-Za-z0-9_-]/g, "")][0]);
    return complain(`in which ${wrong} is not allowed: write only ${allowed}`);
  });
  return { schema, range: `1 to ${NAME_CHARACTERS_MAX} characters` };
}

function nodeName(): Kind<string> {
  const schema = reader((typed, complain) => {
    const text = typed.trim();
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > NODE_BYTES_MAX) {
      return complain(`which has ${bytes} bytes in UTF-8: write at most ${NODE_BYTES_MAX}`);
    }
    if (/[\0-\x1f\x7f]/.test(text)) {
      return complain("which has a line end or the like in it: write it on one line");
    }
    return bytes > 0 ? text : complain("which is empty: write a name, or leave it out");
  });
  return { schema, range: `1 to ${NODE_BYTES_MAX} bytes` };
}
