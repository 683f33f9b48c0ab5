/**
 * Asking the running tracker for a change, from the command line: the other end of `admin.ts`.
 *
 *   deny HASH     PUT /access/deny/HASH
 *   allow HASH    PUT /access/allow/HASH
 *   forget HASH   DELETE from both lists
 *   maintenance   PUT or DELETE /maintenance
 *
 * The answer is one sentence, which is cut if it is long.
 */
import type { Listener } from "../settings.ts";
import { askOverHttp } from "./http-client.ts";
import { excerpt } from "./printable.ts";

/** A million hashes are written anew for each change, to a disk that may be slow. */
const ANSWER_MILLISECONDS_MAX = 30_000;
/** Sentences are short; whatever sends more is not our tracker. */
const BODY_BYTES_MAX = 4096;

/** Verbs that take info hashes. */
export type ListVerb = "deny" | "allow" | "forget";

/** What the tracker said: a status of HTTP and a sentence. */
export interface AdminAnswer {
  status: number;
  sentence: string;
}

/** Where to ask, and what to show. */
export interface AdminAddress extends Listener {
  token: string;
}

type Method = "PUT" | "DELETE";

const CONFLICT = 409;

/** Puts a hash on a list, or takes it off both. Rejects if there is no tracker to ask. */
export async function askForList(
  admin: AdminAddress,
  verb: ListVerb,
  hash: string,
): Promise<AdminAnswer> {
  if (verb !== "forget") return ask(admin, "PUT", `/access/${verb}/${hash}`);
  const denied = await ask(admin, "DELETE", `/access/deny/${hash}`);
  const allowed = await ask(admin, "DELETE", `/access/allow/${hash}`);
  // A list that there is not has forgotten everything.
  if (denied.status === CONFLICT) return allowed;
  if (allowed.status === CONFLICT) return denied;
  const worse = denied.status > allowed.status ? denied : allowed;
  return { status: worse.status, sentence: `${denied.sentence}\n${allowed.sentence}` };
}

/** Begins or ends maintenance. Rejects if there is no tracker to ask. */
export function askForMaintenance(admin: AdminAddress, on: boolean): Promise<AdminAnswer> {
  return ask(admin, on ? "PUT" : "DELETE", "/maintenance");
}

async function ask(admin: AdminAddress, method: Method, target: string): Promise<AdminAnswer> {
  const { status, body } = await askOverHttp({
    address: admin.host,
    port: admin.port,
    method,
    host: "localhost",
    target,
    fields: { Authorization: `Bearer ${admin.token}` },
    timeout: ANSWER_MILLISECONDS_MAX,
    bodyBytesMax: BODY_BYTES_MAX,
  });
  return { status, sentence: excerpt(new TextDecoder().decode(body).trimEnd()) };
}
