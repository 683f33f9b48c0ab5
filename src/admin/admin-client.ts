/**
 * Asking the running tracker for a change, from the command line: the other end of `admin.ts`.
 *
 *   deny HASH     PUT /access/deny/HASH
 *   allow HASH    PUT /access/allow/HASH
 *   forget HASH   DELETE from both lists
 *   maintenance   PUT or DELETE /maintenance
 *
 * The request goes to this machine over a socket of its own, past any proxy the environment names.
 */
import { connect } from "node:net";

import type { Listener } from "../settings.ts";

/** A million hashes are written anew for each change, to a disk that may be slow. */
const ANSWER_MILLISECONDS_MAX = 30_000;
/** Sentences are short; whatever sends more is not our tracker. */
const ANSWER_SIZE_MAX = 64 * 1024;

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

function ask(admin: AdminAddress, method: string, path: string): Promise<AdminAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<AdminAnswer>();
  const { host, port } = admin;
  const socket = connect({ host: host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host, port });
  const timer = setTimeout(
    () => reject(new Error("it did not answer in time")),
    ANSWER_MILLISECONDS_MAX,
  );
  let text = "";
  socket.on("connect", () => {
    const head = ["Host: localhost", `Authorization: Bearer ${admin.token}`, "Connection: close"];
    socket.write(`${method} ${path} HTTP/1.1\r\n${head.join("\r\n")}\r\n\r\n`);
  });
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
    if (text.length > ANSWER_SIZE_MAX) socket.destroy();
  });
  socket.on("error", (error) => reject(new Error(reasonOf(error))));
  socket.on("close", () => {
    const answer = readAnswer(text);
    if (answer === undefined) reject(new Error("what answered is not a tracker"));
    else resolve(answer);
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** Why there is no answer, for people. */
function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.code === "ECONNREFUSED") return "nothing listens there";
  if (error.code === "ECONNRESET") return "what listens there hung up";
  return error.message;
}

function readAnswer(text: string): AdminAnswer | undefined {
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1];
  const head = text.indexOf("\r\n\r\n");
  if (status === undefined || head < 0) return undefined;
  return { status: Number(status), sentence: text.slice(head + 4).trimEnd() };
}
