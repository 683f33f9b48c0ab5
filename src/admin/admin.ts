/**
 * The HTTP API of the operator: health, pages, and changes while the tracker runs.
 *
 *   GET     /health, /ready            200, or 503 while the tracker cannot serve
 *   GET     …                          further pages, such as metrics
 *   GET     /swarms?…                  swarms as JSON (see swarm-pages.ts); peers with the token
 *   GET     /challenge/<nonce>         proves that this is the tracker (see proof.ts)
 *   PUT     /access/deny/<hash>        adds the hash to the file and the list    ┐
 *   DELETE  /access/deny/<hash>        removes it; likewise /access/allow/…      ├ with the token
 *   PUT     /maintenance               refuses all announces                     │
 *   DELETE  /maintenance               answers announces again                   ┘
 *
 *   200 done   400 no info hash   401 wrong token   403 no token is set   404 no such path
 *   405 wrong method   409 no such list   421 unknown host name (see own-names.ts)
 *   429 too many wrong tokens   500 the file cannot be written, and nothing has changed
 *
 * It has its own address, so that clients cannot reach it. Every answer but a page is a sentence of
 * plain text.
 */
import type { AccessKeeper, ListName } from "../access/keeper.ts";
import { garbage, RESPONSE_GARBAGE_BYTES } from "../host/garbage.ts";
import type { HttpHandler } from "../http/exchange.ts";
import type { OwnNames } from "../net/own-names.ts";
import { HASH_FORMS, readInfoHashes } from "../net/written-hashes.ts";
import { PROOF_FIELD } from "./proof.ts";
import { type Judgement, Token } from "./token.ts";

/** A page of another part of the program, for GET. */
export type AdminPage = (req: Request) => Response | Promise<Response>;

/** Answers the query of `/swarms` with a status, and with JSON or a sentence (swarm-pages.ts). */
export type SwarmsPage = (query: string) => Promise<readonly [status: number, text: string]>;

/** Why a request was refused that may come from an attacker. */
const OPERATOR_REFUSALS = ["host", "token"] as const;
export type OperatorRefusal = (typeof OPERATOR_REFUSALS)[number];

export interface AdminDeps {
  /** The token that changes need; undefined refuses all changes. */
  token: string | undefined;
  keeper: Pick<AccessKeeper, "change" | "setMaintenance">;
  /** Seconds since the start. */
  now: () => number;
  /** Whether the tracker can serve: the answer of `/ready`. */
  ready: () => boolean;
  /** The host names that requests may use. */
  names: Pick<OwnNames, "has">;
  /** Called for each request that is refused for its host name or for a wrong token. */
  refused: (reason: OperatorRefusal) => void;
  /** Pages by path, with the slash. */
  pages: Readonly<Record<string, AdminPage>>;
  swarms: SwarmsPage;
}

/** Answers each request. */
export interface AdminHandler extends HttpHandler {
  fetch: (req: Request) => Promise<Response>;
}

/** The path of a URL, and its query with the mark; old clients leave out scheme and host. */
const TARGET = /^(?:[a-z]+:\/\/[^/?#]*)?(\/[^?#]*)(\?[^#]*)?/i;
const CHALLENGE = /^\/challenge\/([^/]*)$/;
const ACCESS = /^\/access\/(deny|allow)\/([^/]*)$/;

const NO_TOKEN =
  "changes and addresses of peers are refused: " +
  "set TRACKER_ADMIN_TOKEN or TRACKER_ADMIN_TOKEN_FILE and restart";
const WRONG_TOKEN = "the token is wrong or missing: send Authorization: Bearer and the token";
const NO_NONCE = "this is not a challenge: write 64 hexadecimal digits";
const TOO_MANY = "too many requests had a wrong token: try again in some seconds, or use the verbs";
const WRONG_HOST =
  "unknown host name: use the address or localhost, or set TRACKER_PUBLIC_NAME to this name";
const NO_HASH = `this is not an info hash: write ${HASH_FORMS}, percent-encoded`;

/** Methods that a Request can have: it throws for some others, such as TRACE. */
const METHODS = ["GET", "HEAD", "PUT", "DELETE"];

/** Answers the operator's requests. The answers never reject. */
export function createAdmin(deps: AdminDeps): AdminHandler {
  const token = new Token(deps.token, deps.now);
  const fetch = (req: Request) => answer(req, deps, token);
  return {
    fetch,
    // Every answer is a Response.
    bodyBytesMax: 0,
    answer({ head }) {
      const known = METHODS.some((method) => head.hasMethod(method));
      return known ? fetch(head.toRequest()) : refuseMethod(METHODS.join(", "));
    },
  };
}

async function answer(req: Request, deps: AdminDeps, token: Token): Promise<Response> {
  garbage.note(RESPONSE_GARBAGE_BYTES);
  if (!deps.names.has(req.headers.get("host") ?? "")) {
    deps.refused("host");
    return sentence(421, WRONG_HOST);
  }
  const [, path = "", query = ""] = TARGET.exec(req.url) ?? [];
  const target = path + query;
  const challenge = CHALLENGE.exec(path);
  if (challenge !== null) return answerChallenge(req, challenge[1], token);
  const access = ACCESS.exec(path);
  if (path === "/swarms") return showSwarms(req, target, deps, token);
  if (access === null && path !== "/maintenance") return show(req, path, deps);
  const { method } = req;
  if (method !== "PUT" && method !== "DELETE") return refuseMethod("PUT, DELETE");
  const authorization = req.headers.get("authorization");
  const judgement = token.judge({ authorization, method, target });
  if (judgement !== "good") return refuse(judgement, deps);
  const on = method === "PUT";
  const [status, text] =
    access === null
      ? await changeMaintenance(deps, on)
      : await changeList(deps, access[1] as ListName, access[2], on);
  const proof = token.proveAnswer(authorization, status, `${text}\n`);
  return sentence(status, text, proof === undefined ? {} : { [PROOF_FIELD]: proof });
}

function refuse(judgement: Exclude<Judgement, "good">, deps: AdminDeps): Response {
  if (judgement === "no token is set") return sentence(403, NO_TOKEN);
  if (judgement !== "missing") deps.refused("token");
  return judgement === "too many"
    ? sentence(429, TOO_MANY, { "Retry-After": "10" })
    : sentence(401, WRONG_TOKEN, { "WWW-Authenticate": "Bearer" });
}

/** Proves to a verb that this is the tracker. */
function answerChallenge(req: Request, nonce: string, token: Token): Response {
  if (req.method !== "GET") return refuseMethod("GET");
  if (!token.isSet) return sentence(403, NO_TOKEN);
  const proof = token.prove(nonce);
  return proof === undefined ? sentence(400, NO_NONCE) : sentence(200, proof);
}

/** Shows swarms; their peers only with the token. An answer to a MAC gets its proof. */
async function showSwarms(
  req: Request,
  target: string,
  deps: AdminDeps,
  token: Token,
): Promise<Response> {
  const { method } = req;
  if (method !== "GET" && method !== "HEAD") return refuseMethod("GET, HEAD");
  const query = target.slice("/swarms".length);
  const authorization = req.headers.get("authorization");
  if (authorization !== null || new URLSearchParams(query).has("addresses")) {
    const judgement = token.judge({ authorization, method, target });
    if (judgement !== "good") return refuse(judgement, deps);
  }
  const [status, text] = await deps.swarms(query);
  const proof = token.proveAnswer(authorization, status, `${text}\n`);
  return sentence(status, text, {
    ...(status === 200 && { "Content-Type": "application/json" }),
    ...(proof !== undefined && { [PROOF_FIELD]: proof }),
  });
}

/** Shows pages, which need no token. */
async function show(req: Request, path: string, deps: AdminDeps): Promise<Response> {
  const page = Object.hasOwn(deps.pages, path) ? deps.pages[path] : undefined;
  const good = path === "/health" || (path === "/ready" && deps.ready());
  if (page === undefined && path !== "/health" && path !== "/ready") {
    return sentence(404, "not found");
  }
  if (req.method !== "GET" && req.method !== "HEAD") return refuseMethod("GET, HEAD");
  if (page !== undefined) return page(req);
  return good ? sentence(200, "ok") : sentence(503, "not ready");
}

/** A status and a sentence. */
type Outcome = [status: number, text: string];

async function changeMaintenance(deps: AdminDeps, on: boolean): Promise<Outcome> {
  await deps.keeper.setMaintenance(on);
  return [200, on ? "announces are refused: maintenance" : "announces are served"];
}

async function changeList(
  deps: AdminDeps,
  name: ListName,
  written: string,
  on: boolean,
): Promise<Outcome> {
  const hashes = readInfoHashes(unescaped(written));
  if (hashes.length === 0) return [400, NO_HASH];
  const outcomes: Outcome[] = [];
  for (const hash of hashes) outcomes.push(await changeHash(deps, name, hash, on));
  const status = Math.max(...outcomes.map(([code]) => code));
  return [status, outcomes.map(([, text]) => text).join("\n")];
}

async function changeHash(
  deps: AdminDeps,
  name: ListName,
  hash: Uint8Array,
  on: boolean,
): Promise<Outcome> {
  const change = await deps.keeper.change(name, hash, on);
  const list = `the ${name} list`;
  const shown = hash.toHex();
  switch (change.outcome) {
    case "changed":
      return [200, `${shown} is now ${on ? "on" : "off"} ${list}`];
    case "unchanged":
      return [200, `${shown} was ${on ? "already" : "not"} on ${list}`];
    case "no list":
      return [409, `there is no ${name} list: set TRACKER_${name.toUpperCase()}_FILE`];
    case "failed":
      return [500, `nothing was changed: ${change.reason}: ${change.remedy}`];
  }
}

/** A part of a path as it was before it was percent-encoded; "" if the encoding is wrong. */
function unescaped(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

function refuseMethod(allowed: string): Response {
  return sentence(405, `method not allowed: use ${allowed}`, { Allow: allowed });
}

function sentence(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { "Content-Type": "text/plain", ...headers },
  });
}
