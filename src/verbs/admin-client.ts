/**
 * Requests changes and pages from the running tracker, for the command line: the client of
 * `admin.ts`.
 *
 *   deny HASH     PUT /access/deny/HASH
 *   allow HASH    PUT /access/allow/HASH
 *   forget HASH   DELETE from both lists
 *   maintenance   PUT or DELETE /maintenance
 *   swarm HASH    GET /swarms?hash=HASH
 *
 * The token is never sent. The program on the port must prove that it knows the token, before the
 * request and again in its answer; an answer without proof is not shown. Any program may listen on
 * the port (see admin/proof.ts).
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

/** The timeout of a proof, which needs little more than the network. */
const PROOF_MILLISECONDS_MAX = 5000;
/** The timeout of a change: the file of a million hashes is rewritten, perhaps on a slow disk. */
const ANSWER_MILLISECONDS_MAX = 30_000;
/** The longest answer to a change: sentences are short. */
const SENTENCE_BYTES_MAX = 4096;
/** The longest page: swarms with a thousand peers, some 100 KB. */
const PAGE_BYTES_MAX = 1024 * 1024;

const CHALLENGED = new RegExp(`^([0-9a-f]{${TRACKER_NONCE_DIGITS}}) ([0-9a-f]{${MAC_DIGITS}})\n?$`);

const OK = 200;
const FORBIDDEN = 403;
const CONFLICT = 409;

/** Verbs that take info hashes. */
export type ListVerb = "deny" | "allow" | "forget";

/** The tracker's answer: an HTTP status and a sentence. */
export interface AdminAnswer {
  status: number;
  sentence: string;
}

/** The tracker's answer to a request for a page. */
export interface PageAnswer {
  status: number;
  text: string;
}

/** The program on the port has not proven that it is the tracker. */
export class UnprovenError extends Error {}

export class AdminClient {
  readonly #listener: Listener;
  readonly #proof: Proof;

  /** A client of the tracker at this address with this token. */
  constructor(listener: Listener, token: string) {
    this.#listener = listener;
    this.#proof = new Proof(token);
  }

  /** Adds a hash to a list, or removes it from both. Rejects if no tracker answers. */
  async askForList(verb: ListVerb, hash: string): Promise<AdminAnswer> {
    if (verb !== "forget") return this.#ask("PUT", `/access/${verb}/${hash}`);
    const denied = await this.#ask("DELETE", `/access/deny/${hash}`);
    const allowed = await this.#ask("DELETE", `/access/allow/${hash}`);
    // A list that does not exist needs no removal.
    if (denied.status === CONFLICT) return allowed;
    if (allowed.status === CONFLICT) return denied;
    const worse = denied.status > allowed.status ? denied : allowed;
    return { status: worse.status, sentence: `${denied.sentence}\n${allowed.sentence}` };
  }

  /** Begins or ends maintenance. Rejects if no tracker answers. */
  askForMaintenance(on: boolean): Promise<AdminAnswer> {
    return this.#ask(on ? "PUT" : "DELETE", "/maintenance");
  }

  /** The page at a path, with its query. Rejects if no tracker answers. */
  askForPage(target: string): Promise<PageAnswer> {
    return this.#request("GET", target, PAGE_BYTES_MAX);
  }

  async #ask(method: "PUT" | "DELETE", path: string): Promise<AdminAnswer> {
    const { status, text } = await this.#request(method, path, SENTENCE_BYTES_MAX);
    return { status, sentence: excerpt(text.trimEnd()) };
  }

  async #request(
    method: "GET" | "PUT" | "DELETE",
    target: string,
    bodyBytesMax: number,
  ): Promise<PageAnswer> {
    const verbNonce = randomBytes(VERB_NONCE_DIGITS / 2).toString("hex");
    const trackerNonce = await this.#challenge(verbNonce);
    const mac = this.#proof.ofRequest(verbNonce, trackerNonce, method, target);
    const Authorization = `${PROOF_SCHEME} ${verbNonce} ${trackerNonce} ${mac}`;
    const answer = await this.#send({
      method,
      target,
      fields: { Authorization },
      timeout: ANSWER_MILLISECONDS_MAX,
      bodyBytesMax,
    });
    const text = textOf(answer);
    const proof = answer.fields.get(PROOF_FIELD) ?? "";
    if (isSameMac(proof, this.#proof.ofAnswer(mac, answer.status, text))) {
      return { status: answer.status, text };
    }
    throw new UnprovenError("the answer does not come from the tracker, so it is not shown");
  }

  /** Lets the tracker prove itself; returns its nonce. */
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

  #send(question: Partial<HttpQuestion> & Pick<HttpQuestion, "target" | "timeout">) {
    const { host, port } = this.#listener;
    const to = { address: host, port, host: "localhost", bodyBytesMax: SENTENCE_BYTES_MAX };
    return askOverHttp({ ...to, ...question });
  }
}

function textOf({ body }: HttpAnswer): string {
  return new TextDecoder().decode(body);
}

/**
 * A page of the tracker at this address: with a token it must prove itself, without one the page is
 * as it came. Rejects if no tracker answers.
 */
export async function askForPage(
  listener: Listener,
  token: string | undefined,
  target: string,
): Promise<PageAnswer> {
  if (token !== undefined) return new AdminClient(listener, token).askForPage(target);
  const { host, port } = listener;
  const answer = await askOverHttp({
    address: host,
    port,
    host: "localhost",
    target,
    timeout: ANSWER_MILLISECONDS_MAX,
    bodyBytesMax: PAGE_BYTES_MAX,
  });
  return { status: answer.status, text: textOf(answer) };
}
