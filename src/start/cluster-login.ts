/**
 * How this tracker logs in at the NATS servers of its cluster, from the settings and the files that
 * they name.
 */
import type { Login } from "../cluster/link.ts";
import type { Config } from "../config/schema.ts";
import { readSmallFile } from "../host/plain-file.ts";
import { StartError } from "../host/start-error.ts";

/** Reads the files, before any socket is bound. Throws a StartError. */
export function readLogin(config: Partial<Config>): Login {
  return {
    user: config.clusterUser,
    password: config.clusterPassword,
    credentials: read("TRACKER_CLUSTER_CREDENTIALS_FILE", config.clusterCredentialsFile),
    ca: read("TRACKER_CLUSTER_TLS_CA_FILE", config.clusterTlsCaFile),
    cert: read("TRACKER_CLUSTER_TLS_CERT_FILE", config.clusterTlsCertFile),
    key: read("TRACKER_CLUSTER_TLS_KEY_FILE", config.clusterTlsKeyFile),
  };
}

function read(variable: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readSmallFile(path);
  } catch (error) {
    const { code } = error as { code?: string };
    const hint = "let the user it runs as read it";
    throw new StartError(`${variable}: ${path} cannot be read: ${code}`, hint);
  }
}
