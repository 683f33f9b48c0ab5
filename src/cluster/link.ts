/**
 * The link to the other trackers of a cluster: core NATS, and the only file that knows it, but for
 * the keys of a login (credentials.ts).
 *
 *   connect to the first server ─► subscribe ─► connected … lost ─► wait 250 ms ─► the next server
 *        ├─ it is not there: the next one, after 250 ms
 *        └─ it refuses us: the next one, after twice as long each time, up to 5 s
 *
 * A server that is not there costs a refused connection four times a second, and so all trackers
 * are back within the second in which it is.
 *
 * The server keeps no messages, and may lose any; a tracker that lacks one asks another tracker
 * (ledger.ts). So this file queues nothing: a message that cannot be sent is refused at once.
 *
 * What the client library lacks (3.4.0), and what is done about it:
 *
 *   it gives up, or keeps a dead connection    it may not reconnect; a connection that is stale,
 *                                              disconnected or closed is left, and another is made
 *   it ignores user and tls:// of a URL        both are passed beside it (cluster-settings.ts)
 *   it queues without a limit                  what a server has not acknowledged is counted:
 *                                              `flush` resolves with its answer
 *   a handler that throws makes it deaf        handlers are called in `try`
 *   a message begins at any byte of a buffer   readers expect that (wire.ts)
 *
 * Pings every two seconds find a frozen server within six. Nothing waits for a connection at the
 * start.
 */
import type { ConnectionOptions, NatsConnection, TlsOptions } from "@nats-io/transport-node";
import { type Engine, showPlace } from "../config/cluster-settings.ts";
import { authenticatorOf } from "./credentials.ts";
import { MESSAGE_BYTES_MAX } from "./wire.ts";

/** Bytes that a server may not have acknowledged: above it nothing more is sent. */
const UNACKNOWLEDGED_BYTES_MAX = 4 * 1024 * 1024;
const PING_MILLISECONDS = 2000;
const PINGS_UNANSWERED_MAX = 2;
const CONNECT_MILLISECONDS_MAX = 5000;
const WAIT_MILLISECONDS_MIN = 250;
const WAIT_MILLISECONDS_MAX = 5000;

/** What the rest of the cluster needs of a link. */
export interface Link {
  /** True while a server is connected. */
  readonly up: boolean;
  /** Host and port of that server. */
  readonly engine: string | undefined;
  /** Sends to all trackers. False if it cannot be sent now: it will never be. */
  sendAll(message: Uint8Array): boolean;
  /** Sends to the tracker with this origin; likewise. */
  sendTo(origin: string, message: Uint8Array): boolean;
  /** Closes the connection after all messages are sent. */
  close(): Promise<void>;
}

export interface LinkEvents {
  /** A message has arrived. Its bytes may be of a larger buffer, at any place. */
  heard(message: Uint8Array): void;
  /** `asksLogin`: without a login the server would not have let us in. */
  connected(engine: string, asksLogin: boolean): void;
  /** The connection that there was is lost. */
  lost(engine: string, reason: string): void;
  /**
   * A server did not let us in: logged once for each reason. `answered`: it is there, and goes on
   * like this until its settings or ours change.
   */
  refused(engine: string, reason: string, remedy: string, answered: boolean): void;
  /** How long a server took to acknowledge a batch. */
  acknowledged?(seconds: number): void;
}

/** User, password, keys and certificates for the login; each is optional. */
export interface Login {
  user?: string | undefined;
  password?: string | undefined;
  /** The bytes of a .creds file, or the seed of an nkey. */
  credentials?: string | undefined;
  /** PEM. */
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  /** What of it is good only up to a day. */
  ends?: readonly LoginEnd[];
}

/** A file of the login, and when it ends, in seconds since 1970. */
export interface LoginEnd {
  variable: string;
  file: string;
  endsSeconds: number;
}

export interface LinkOptions {
  engines: readonly Engine[];
  /** Gives the login for each connection that a server answers. Never rejects. */
  login: () => Login | Promise<Login>;
  /** Name of the cluster: trackers of another name on the same servers hear nothing of this one. */
  name: string;
  origin: string;
  /** Name of this tracker, which the servers log. */
  node: string;
}

type Nats = typeof import("@nats-io/transport-node");

/** The subjects of a cluster, and of one tracker in it. */
const subjectOfAll = (name: string): string => `buntracker.${name}.all`;
const subjectOfNode = (name: string, origin: string): string => `buntracker.${name}.node.${origin}`;

export class NatsLink implements Link {
  readonly #nats: Nats;
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  #connection: NatsConnection | undefined;
  #engine: string | undefined;
  /** The login for the next connection; undefined after a server has seen it. */
  #login: Login | undefined;
  #unacknowledged = 0;
  #closed = false;
  readonly #closing = Promise.withResolvers<void>();

  private constructor(nats: Nats, options: LinkOptions, events: LinkEvents) {
    this.#nats = nats;
    this.#options = options;
    this.#events = events;
  }

  /** Begins to connect; resolves at once, whether a server is there or not. */
  static async open(options: LinkOptions, events: LinkEvents): Promise<NatsLink> {
    const link = new NatsLink(await import("@nats-io/transport-node"), options, events);
    void link.#keepConnected();
    return link;
  }

  get up(): boolean {
    return this.#connection !== undefined;
  }

  get engine(): string | undefined {
    return this.#engine;
  }

  sendAll(message: Uint8Array): boolean {
    return this.#send(subjectOfAll(this.#options.name), message);
  }

  sendTo(origin: string, message: Uint8Array): boolean {
    return this.#send(subjectOfNode(this.#options.name, origin), message);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#closing.resolve();
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    await Promise.race([connection.flush().catch(ignore), Bun.sleep(PING_MILLISECONDS)]);
    void connection.close().catch(ignore);
  }

  #send(subject: string, message: Uint8Array): boolean {
    const connection = this.#connection;
    if (connection === undefined) return false;
    if (this.#unacknowledged + message.length > UNACKNOWLEDGED_BYTES_MAX) return false;
    try {
      connection.publish(subject, message);
      this.#unacknowledged += message.length;
      const sent = performance.now();
      connection.flush().then(() => {
        if (this.#connection !== connection) return;
        this.#unacknowledged -= message.length;
        this.#events.acknowledged?.((performance.now() - sent) / 1000);
      }, ignore);
      return true;
    } catch {
      return false;
    }
  }

  /** Connects to one server after the other until it is closed. */
  async #keepConnected(): Promise<void> {
    const { engines } = this.#options;
    let wait = WAIT_MILLISECONDS_MIN;
    for (let turn = 0; !this.#closed; turn++) {
      const engine = engines[turn % engines.length];
      const isRefused = await this.#connect(engine);
      if (this.#closed) return;
      if (!isRefused) wait = WAIT_MILLISECONDS_MIN;
      // Trackers that lost the same server at once do not all come back in the same moment.
      await Promise.race([Bun.sleep(wait * (0.75 + Math.random() / 2)), this.#closing.promise]);
      if (isRefused) wait = Math.min(2 * wait, WAIT_MILLISECONDS_MAX);
    }
  }

  /**
   * Resolves when there is no connection any more: to true if the server refused us, or soon closed
   * the connection.
   */
  async #connect(engine: Engine): Promise<boolean> {
    const place = showPlace(engine);
    const login = (this.#login ??= await this.#options.login());
    let connection: NatsConnection;
    try {
      connection = await this.#nats.connect(
        optionsFor(this.#nats, engine, login, this.#options.node),
      );
    } catch (error) {
      const { reason, remedy, answered } = explain(error, engine);
      if (!this.#closed) this.#events.refused(place, reason, remedy, answered);
      if (answered) this.#login = undefined;
      return answered;
    }
    this.#login = undefined;
    if (this.#closed) {
      void connection.close().catch(ignore);
      return false;
    }
    const ended = new Ended(connection);
    const refusal = tooSmall(connection) ?? (await this.#prove(connection, ended));
    if (refusal !== undefined || this.#closed) {
      void connection.close().catch(ignore);
      if (refusal !== undefined && !this.#closed) {
        this.#events.refused(place, refusal.reason, refusal.remedy, true);
      }
      return true;
    }
    this.#unacknowledged = 0;
    this.#connection = connection;
    this.#engine = place;
    const begun = performance.now();
    this.#events.connected(place, connection.info?.auth_required === true);
    const reason = await ended.reason;
    const wasClosed = this.#closed;
    this.#connection = this.#engine = undefined;
    // Not awaited: a frozen server never answers.
    void connection.close().catch(ignore);
    if (!wasClosed) this.#events.lost(place, reason);
    return performance.now() - begun < WAIT_MILLISECONDS_MAX;
  }

  /**
   * Subscribes, and sends an empty message that only this tracker would get. Returns the reason if
   * the login may not use the subjects: the server lets it in all the same, and drops everything.
   */
  async #prove(connection: NatsConnection, ended: Ended): Promise<Unusable | undefined> {
    const { name, origin } = this.#options;
    this.#subscribe(connection);
    connection.publish(subjectOfNode(name, origin));
    const answered = connection.flush().catch(ignore);
    await Promise.race([answered, ended.reason, Bun.sleep(CONNECT_MILLISECONDS_MAX)]);
    // The error came before the answer, but is told by another promise.
    await Bun.sleep(0);
    const reason = ended.refusal;
    return reason === undefined ? undefined : { reason, remedy: remedyForSubjects(name) };
  }

  #subscribe(connection: NatsConnection): void {
    const { name, origin } = this.#options;
    const callback = (error: Error | null, message: { data: Uint8Array }): void => {
      if (error !== null || this.#connection !== connection) return;
      try {
        this.#events.heard(message.data);
      } catch (bug) {
        // Thrown where the library does not see it: a bug of ours ends the program as any other.
        queueMicrotask(() => {
          throw bug;
        });
      }
    };
    for (const subject of [subjectOfAll(name), subjectOfNode(name, origin)]) {
      connection.subscribe(subject, { callback });
    }
  }
}

/** When and why a connection can no longer be used. */
class Ended {
  /** The server's reason, if it refuses what this tracker sends or subscribes to. */
  refusal: string | undefined;
  readonly reason: Promise<string>;

  constructor(connection: NatsConnection) {
    this.reason = this.#watch(connection);
  }

  async #watch(connection: NatsConnection): Promise<string> {
    let reason = "it closed the connection";
    const watch = async (): Promise<void> => {
      for await (const status of connection.status()) {
        if (status.type === "staleConnection") reason = "it does not answer pings";
        if (status.type === "error") reason = this.refusal = status.error.message;
        if (LOST.includes(status.type)) return;
      }
    };
    const closed = async (): Promise<void> => {
      const error = await connection.closed();
      // The reason may be on its way.
      await Bun.sleep(0);
      if (error instanceof Error) reason = error.message;
    };
    await Promise.race([watch().catch(ignore), closed()]);
    return reason;
  }
}

/** Why a server that has let us in cannot be used, and what helps. */
type Unusable = Pick<Refusal, "reason" | "remedy">;

/** The library would refuse large messages alone, one by one, and no pull would ever end. */
function tooSmall({ info }: NatsConnection): Unusable | undefined {
  const most = info?.max_payload ?? Infinity;
  if (most >= MESSAGE_BYTES_MAX) return undefined;
  const reason = `it takes messages of at most ${most} bytes`;
  return { reason, remedy: `set max_payload to at least ${MESSAGE_BYTES_MAX} at the server` };
}

/** The states of a connection that can no longer be used. */
const LOST: readonly string[] = ["staleConnection", "disconnect", "close", "error"];

const remedyForSubjects = (name: string): string =>
  `let this user publish and subscribe to buntracker.${name}.> at the server, ` +
  "or correct TRACKER_CLUSTER_NAME";

function ignore(): void {}

function optionsFor(nats: Nats, engine: Engine, login: Login, node: string): ConnectionOptions {
  const { credentials } = login;
  const user = engine.user ?? login.user;
  const pass = engine.password ?? login.password;
  return {
    servers: showPlace(engine),
    name: node,
    noEcho: true,
    reconnect: false,
    ignoreClusterUpdates: true,
    pingInterval: PING_MILLISECONDS,
    maxPingOut: PINGS_UNANSWERED_MAX,
    timeout: CONNECT_MILLISECONDS_MAX,
    // The server beside a tracker may have none, while another is reached by tls:// and our CA.
    ...(engine.tls ? { tls: tlsOf(login) } : {}),
    ...(user === undefined ? {} : { user, pass: pass ?? "" }),
    ...(credentials === undefined ? {} : { authenticator: authenticatorOf(nats, credentials) }),
  };
}

function tlsOf({ ca, cert, key }: Login): TlsOptions {
  return { ...(ca && { ca }), ...(cert && key && { cert, key }) };
}

/** Why a server cannot be used, what helps, and whether it has answered. */
export interface Refusal {
  reason: string;
  remedy: string;
  answered: boolean;
}

/** A sentence for why a server did not let us in, and what helps. */
export function explain(error: unknown, engine: Engine): Refusal {
  const reason = error instanceof Error ? error.message : String(error);
  // A host name may hold any of the words.
  const words = reason.replaceAll(engine.host, "");
  const place = showPlace(engine);
  if (WRONG_NAME.test(words)) {
    const other = `or give the server one for ${engine.host}`;
    const remedy = `write a name of the server's certificate in TRACKER_CLUSTER_URL, ${other}`;
    return { reason, remedy, answered: true };
  }
  const known = REMEDIES.find(([pattern]) => pattern.test(words));
  if (known !== undefined) return { reason, remedy: known[1], answered: known[2] };
  const tls = TLS_REMEDIES.find(([pattern]) => pattern.test(words))?.[1];
  if (tls !== undefined) {
    const remedy = engine.tls ? tls : `write tls:// in TRACKER_CLUSTER_URL, and ${tls}`;
    const closed = "it closed the connection in the handshake of TLS";
    return { reason: CLOSED.test(words) ? closed : reason, remedy, answered: true };
  }
  const isLate = /timeout/i.test(words);
  const remedy = isLate ? "see that a NATS server answers" : "start a NATS server";
  return { reason, remedy: `${remedy} at ${place}`, answered: false };
}

/** The reason of TLS; it quotes the names of the certificate, which may hold any word. */
const WRONG_NAME = /does not match certificate's altnames/;

/**
 * A server that refuses our certificate, or that we have none, closes the connection in the
 * handshake, and Bun 1.4 then says no more than that it cannot write.
 */
const CLOSED = /EBADF/;

/** Parts of a reason that TLS has, and the remedy where the URL says tls://. */
const TLS_REMEDIES: readonly [RegExp, string][] = [
  [
    // Its own certificate was right.
    CLOSED,
    "set TRACKER_CLUSTER_TLS_CERT_FILE and TRACKER_CLUSTER_TLS_KEY_FILE to a certificate that " +
      "the server trusts, if it lets in only clients with one; its log says the reason",
  ],
  [
    /expired|not yet valid/,
    "renew the certificate of the server, or correct the clock of this machine",
  ],
  [
    /certificate|tls|ssl/i,
    "set TRACKER_CLUSTER_TLS_CA_FILE to the certificate that signed the server's",
  ],
];

/** Parts of a reason, the remedy, and whether the server has answered. */
const REMEDIES: readonly [RegExp, string, boolean][] = [
  [
    /does not support 'tls'/,
    "write nats:// in TRACKER_CLUSTER_URL, or give the server a certificate",
    true,
  ],
  [
    /does not support|unexpected response/,
    "see with ss -lntp what listens there: it is no NATS server, or an old one",
    false,
  ],
  [
    /ENOTFOUND|EAI_AGAIN/,
    "correct the host name in TRACKER_CLUSTER_URL, or add it to the DNS",
    false,
  ],
  [
    /authoriz|authentication|nkey|jwt|credential/i,
    "set TRACKER_CLUSTER_USER and TRACKER_CLUSTER_PASSWORD as the server has them, or a login in " +
      "TRACKER_CLUSTER_URL, which goes before these, or TRACKER_CLUSTER_CREDENTIALS_FILE",
    true,
  ],
];
