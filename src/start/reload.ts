/**
 * The files that are read at the start and again on SIGHUP: access lists, rules, certificate, and
 * the login of a cluster.
 *
 *   read all ─► one is wrong: nothing changes
 *      └──────► certificate ─► lists and rules ─► every thread uses them ─► swarms are removed
 */
import type { AccessKeeper } from "../access/keeper.ts";
import { garbage } from "../host/garbage.ts";
import type { Log } from "../host/log.ts";
import { StartError } from "../host/start-error.ts";
import { type Certificate, readCertificate } from "../http/certificate.ts";
import type { RuleKeeper } from "../limits/rule-keeper.ts";
import type { LoginKeeper } from "./cluster-login.ts";
import type { Threads } from "./threads.ts";

/** The files of the certificate; undefined without HTTPS. */
export interface CertificateFiles {
  tlsCertFile?: string | undefined;
  tlsKeyFile?: string | undefined;
}

/** Is notified of reloads, for metrics and the supervisor. */
export interface ReloadObserver {
  reloading(): void;
  reloaded(good: boolean): void;
}

export class Files {
  readonly lists: AccessKeeper;
  readonly rules: RuleKeeper;
  /** Of a cluster, once it has been read at the start. */
  login: Pick<LoginKeeper, "login" | "read"> | undefined;
  readonly #certificate: CertificateFiles;
  readonly #threads: Pick<Threads, "tell" | "release" | "certificate">;

  constructor(
    lists: AccessKeeper,
    rules: RuleKeeper,
    certificate: CertificateFiles,
    threads: Pick<Threads, "tell" | "release" | "certificate">,
  ) {
    this.lists = lists;
    this.rules = rules;
    this.#certificate = certificate;
    this.#threads = threads;
  }

  /**
   * Reads all files and gives their content to all threads. Rejects with a StartError if a file is
   * wrong; nothing has changed then.
   */
  read(): Promise<void> {
    return this.lists.alone(async () => {
      const lists = await this.lists.read();
      const rules = this.rules.read();
      const { tlsCertFile, tlsKeyFile } = this.#certificate;
      const certificate = readCertificate(tlsCertFile, tlsKeyFile);
      const login = await this.login?.read();
      // The certificate comes first: it needs new sockets, and if they fail nothing may change.
      if (certificate !== undefined) await this.#renew(certificate);
      await this.#threads.tell({ access: this.lists.take(lists), rules: this.rules.take(rules) });
      if (login !== undefined) this.login!.login = login;
      await this.lists.evictRefused();
    });
  }

  /** Gives all threads another certificate. The same one would make the tickets of clients void. */
  async #renew(certificate: Certificate): Promise<void> {
    const { certificate: used } = this.#threads;
    if (certificate.cert === used?.cert && certificate.key === used.key) return;
    await this.#threads.tell({ certificate });
  }

  /** SIGHUP: reads all files again. Never rejects; the log and the observer get the result. */
  async reload(log: Pick<Log, "info" | "error">, observer: ReloadObserver): Promise<void> {
    observer.reloading();
    try {
      await this.read();
      const rules = this.rules.shared.rules.length;
      log.info("reloaded", { ...this.lists.sizes, rules });
      observer.reloaded(true);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const remedy = error instanceof StartError ? error.hint : undefined;
      log.error("reload failed, everything stays as it was", { reason, remedy });
      observer.reloaded(false);
    } finally {
      // Where memory of lists is released, the collection need not be waited for.
      garbage.settle(this.#threads.release === undefined);
    }
  }
}
