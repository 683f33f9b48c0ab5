/**
 * What each thread notes in addition to its counters: a `Tally` of its announces, their `Hosts`,
 * and the `PrivateShare`. All lie in shared memory, which workers write and the event loop reads.
 */
import type { RequestHead } from "../net/head.ts";
import { PrivateShare, privateShareMemory } from "./private-share.ts";
import type { AnnounceReply, AnnounceRequest } from "../swarm/requests.ts";
import { Hosts, hostsMemory } from "./hosts.ts";
import { Tally, tallyMemory, type TallySettings } from "./tally.ts";

/** The memory of the notes of all threads. */
export interface NotesShared {
  tally: SharedArrayBuffer;
  hosts: SharedArrayBuffer;
  privateShare: SharedArrayBuffer;
  /** Secret, so that strangers cannot find two names with the same hash. */
  hostsKey: number;
  settings: TallySettings;
}

/** Shared memory for the notes of `threads` threads: some 120 KiB for each. */
export function notesMemory(threads: number, settings: TallySettings): NotesShared {
  return {
    tally: tallyMemory(threads),
    hosts: hostsMemory(threads),
    privateShare: privateShareMemory(threads),
    hostsKey: crypto.getRandomValues(new Int32Array(1))[0] | 1,
    settings,
  };
}

/** One thread's notes. */
export class Notes {
  readonly #tally: Tally;
  readonly #hosts: Hosts;
  readonly #privateShare: PrivateShare;

  /** `thread` is 0 for the event loop, 1 and up for workers. */
  constructor(shared: NotesShared, thread: number) {
    this.#tally = new Tally(shared.tally, thread, shared.settings);
    this.#hosts = new Hosts(shared.hosts, thread, shared.hostsKey);
    this.#privateShare = new PrivateShare(shared.privateShare, thread);
  }

  /** Notes an announce that has been answered. */
  noteAnnounce(request: AnnounceRequest, reply: AnnounceReply): void {
    this.#tally.note(request, reply);
    this.#privateShare.note(request);
  }

  /** Notes an announce that is refused for its private address: a NAT shows by it. */
  notePrivate(request: AnnounceRequest): void {
    this.#privateShare.note(request);
  }

  /** Notes the host and path of an announce over HTTP. */
  noteHead(head: RequestHead): void {
    this.#hosts.noteHead(head);
  }

  /** Notes the path in an announce over UDP. [BEP 41] */
  notePath(bytes: Uint8Array, length: number): void {
    this.#hosts.notePath(bytes, length);
  }
}
