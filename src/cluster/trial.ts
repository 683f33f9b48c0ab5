/**
 * A trial of a NATS server, for `buntracker check`: does it answer, does it let this tracker in,
 * may the login use the subjects of the cluster, and which trackers are heard there?
 *
 *   connect (link.ts) ─► two seconds of hellos ─► close
 *
 * A server that is not there is waited for, because it may have been started just before.
 *
 * It sends nothing that another tracker would get.
 */
import type { Engine } from "../config/cluster-settings.ts";
import { type LinkEvents, type Login, NatsLink, type Refusal } from "./link.ts";
import { KIND_HELLO, KNOWN_MAX, readMessage } from "./wire.ts";

/** A tracker says that it is there once a second. */
const LISTEN_MILLISECONDS = 2200;
/** A server may take this long to start. */
const START_MILLISECONDS_MAX = 2000;
/** A little more than the link waits for a server. */
const ANSWER_MILLISECONDS_MAX = 6000;

/** What a trial has found. */
export interface Trial {
  /** Why the server cannot be used; undefined if it can. */
  problem: Refusal | undefined;
  /** True if the server lets in only programs with a login. */
  asksLogin: boolean;
  /** Names of the trackers that are heard, sorted. */
  nodes: string[];
  /** True if messages of another version of the format are heard. */
  otherVersion: boolean;
}

/** What the trial needs of the settings. */
interface TrialOptions {
  login: Login;
  /** Name of the cluster. */
  name: string;
  /** Name of this tracker. */
  node: string;
}

/** Tries one server. Never rejects. */
export async function tryEngine(engine: Engine, options: TrialOptions): Promise<Trial> {
  const trial: Trial = {
    ...{ problem: undefined, asksLogin: false, nodes: [], otherVersion: false },
  };
  const names = new Map<string, string>();
  const answered = Promise.withResolvers<boolean>();
  const refused = Promise.withResolvers<void>();
  /** Why the server is not there so far. */
  let away: Refusal | undefined;
  let mayStart = true;
  const events: LinkEvents = {
    heard(bytes) {
      const message = readMessage(bytes);
      if (message === "version") trial.otherVersion = true;
      if (typeof message === "string" || message.kind !== KIND_HELLO) return;
      // A program with the login can make up names without end.
      if (names.size < KNOWN_MAX) names.set(message.origin, message.name);
    },
    connected(_, asksLogin) {
      trial.asksLogin = asksLogin;
      away = undefined;
      answered.resolve(true);
    },
    lost: (_, reason) => fail({ reason, remedy: "see the log of the server", answered: false }),
    refused(_, reason, remedy, answered) {
      if (answered || !mayStart) fail({ reason, remedy, answered });
      else away = { reason, remedy, answered };
    },
  };
  function fail(refusal: Refusal): void {
    trial.problem ??= refusal;
    answered.resolve(false);
    refused.resolve();
  }
  const origin = crypto.getRandomValues(new Uint8Array(8)).toHex();
  const login = () => options.login;
  const link = await NatsLink.open({ engines: [engine], ...options, login, origin }, events);
  void Bun.sleep(START_MILLISECONDS_MAX).then(() => {
    mayStart = false;
    if (away !== undefined) fail(away);
  });
  const late = Bun.sleep(ANSWER_MILLISECONDS_MAX).then(() => {
    answered.resolve(false);
  });
  await Promise.race([answered.promise, late]);
  if (await answered.promise) {
    await Promise.race([Bun.sleep(LISTEN_MILLISECONDS), refused.promise]);
  } else {
    const remedy = "see that a NATS server is there, and can be reached";
    fail({ reason: "no answer", remedy, answered: false });
  }
  await link.close();
  trial.nodes = [...new Set(names.values())].sort();
  return trial;
}
