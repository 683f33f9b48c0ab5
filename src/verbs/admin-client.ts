/**
 * Asking the running tracker for a change, from the command line: the other end of `admin.ts`.
 *
 *   deny HASH     PUT /access/deny/HASH
 *   allow HASH    PUT /access/allow/HASH
 *   forget HASH   DELETE from both lists
 *   maintenance   PUT or DELETE /maintenance
 *
 * The token is never sent. What listens must prove first that it knows the token, and its answer
 * must as well, or nothing of it is shown: any program may hold the port (see admin/proof.ts).
 */
import { randomBytes } from "node:crypto";

import { TRACKER_NONCE_DIGITS } from "../admin/nonces.ts";
import {
  isSameMac,
  MAC_DIGITS,
  Proof,
  PROOF_FIELD,
  PROOF_SCHEME,
  VERB_NONCE_DIGITS,
} from "../admin/proof.ts";
import type { Listener } from "../config/settings.ts";
import type { HttpAnswer } from "./http-answer.ts";
import { askOverHttp, type HttpQuestion } from "./http-client.ts";
import { excerpt } from "./printable.ts";

/** A proof costs nothing but the way. */
const PROOF_MILLISECONDS_MAX = 5000;
/** A million hashes are written anew for each change, to a disk that may be slow. */
const ANSWER_MILLISECONDS_MAX = 30_000;
/** Sentences are short; whatever sends more is not our tracker. */
const BODY_BYTES_MAX = 4096;

const CHALLENGED = new RegExp(`^([0-9a-f]{${TRACKER_NONCE_DIGITS}}) ([0-9a-f]{${MAC_DIGITS}})\n?$`);

const OK = 200;
const FORBIDDEN = 403;
const CONFLICT = 409;

/** Verbs that take info hashes. */
export type ListVerb = "deny" | "allow" | "forget";

/** What the tracker said: a status of HTTP and a sentence. */
export interface AdminAnswer {
  status: number;
  sentence: string;
}

/** What listens there has not proven that it is the tracker. */
export class UnprovenError extends Error {}

export class AdminClient {
  readonly #listener: Listener;
  readonly #proof: Proof;

  /** For the tracker that listens there with this token. */
  constructor(listener: Listener, token: string) {
    this.#listener = listener;
    this.#proof = new Proof(token);
  }

  /** Puts a hash on a list, or takes it off both. Rejects if there is no tracker to ask. */
  async askForList(verb: ListVerb, hash: string): Promise<AdminAnswer> {
    if (verb !== "forget") return this.#ask("PUT", `/access/${verb}/${hash}`);
    const denied = await this.#ask("DELETE", `/access/deny/${hash}`);
    const allowed = await this.#ask("DELETE", `/access/allow/${hash}`);
    // A list that there is not has forgotten everything.
    if (denied.status === CONFLICT) return allowed;
    if (allowed.status === CONFLICT) return denied;
    const worse = denied.status > allowed.status ? denied : allowed;
    return { status: worse.status, sentence: `${denied.sentence}\n${allowed.sentence}` };
  }

  /** Begins or ends maintenance. Rejects if there is no tracker to ask. */
  askForMaintenance(on: boolean): Promise<AdminAnswer> {
    return this.#ask(on ? "PUT" : "DELETE", "/maintenance");
  }

  async #ask(method: "PUT" | "DELETE", path: string): Promise<AdminAnswer> {
    const verbNonce = randomBytes(VERB_NONCE_DIGITS / 2).toString("hex");
    const trackerNonce = await this.#challenge(verbNonce);
    const mac = this.#proof.ofRequest(verbNonce, trackerNonce, method, path);
    const Authorization = `${PROOF_SCHEME} ${verbNonce} ${trackerNonce} ${mac}`;
    const answer = await this.#send({
      method,
      target: path,
      fields: { Authorization },
      timeout: ANSWER_MILLISECONDS_MAX,
    });
    const text = textOf(answer);
    const proof = answer.fields.get(PROOF_FIELD) ?? "";
    if (isSameMac(proof, this.#proof.ofAnswer(mac, answer.status, text))) {
      return { status: answer.status, sentence: excerpt(text.trimEnd()) };
    }
    throw new UnprovenError("the answer does not come from the tracker, so it is not shown");
  }

  /** Has the tracker prove itself; the nonce it gave. */
  async #challenge(verbNonce: string): Promise<string> {
    const target = `/challenge/${verbNonce}`;
    const answer = await this.#send({ method: "GET", target, timeout: PROOF_MILLISECONDS_MAX });
    if (answer.status === FORBIDDEN)
      throw new UnprovenError("the program on that port has no token set");
    const [, nonce, proof] = CHALLENGED.exec(answer.status === OK ? textOf(answer) : "") ?? [];
    if (nonce === undefined || proof === undefined) {
      throw new UnprovenError(
        "the program on that port is not a tracker, or is one of another version",
      );
    }
    if (isSameMac(proof, this.#proof.ofTracker(verbNonce, nonce))) return nonce;
    throw new UnprovenError("the program on that port does not know the token that is set here");
  }

  #send(question: Pick<HttpQuestion, "method" | "target" | "fields" | "timeout">) {
    const { host, port } = this.#listener;
    const to = { address: host, port, host: "localhost", bodyBytesMax: BODY_BYTES_MAX };
    return askOverHttp({ ...to, ...question });
  }
}

function textOf({ body }: HttpAnswer): string {
  return new TextDecoder().decode(body);
}
