/**
 * Under which host names this machine may be asked for what it shows to itself or its operator.
 *
 * A page in a browser may have its own name resolve to 127.0.0.1 and then read, from the operator's
 * machine, whatever is shown to that address (DNS rebinding). The Host field still has the page's
 * name, so these alone pass, with any port:
 *
 *   127.0.0.1, [::1]     addresses: a browser never takes them from a name
 *   localhost            and what ends in it: resolved by the machine itself [RFC 6761 6.3]
 *   tracker              names without a dot, as in a compose file: no public DNS has them
 *   tracker.example      the machine's own name and those that are set
 *   (none)               HTTP/1.0, which no browser speaks
 *
 * Who answers the DNS of a machine's own network can have any name resolve to anything, those that
 * are set too: that is not kept out.
 */
import { isIPv4, isIPv6 } from "node:net";

const HOST = /^(?:\[([^\]]*)\]|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*))\.?(?::\d{1,5})?$/;
const LOCALHOST = /(^|\.)localhost$/;

export class OwnNames {
  readonly #names: ReadonlySet<string>;

  /** `names` are further ones that pass, in any case of letters. */
  constructor(names: readonly string[]) {
    this.#names = new Set(names.map((name) => name.toLowerCase()));
  }

  /** Whether a request with this value of the Host field passes, "" for none. */
  has(field: string): boolean {
    if (field === "") return true;
    const [, address, name] = HOST.exec(field.toLowerCase()) ?? [];
    if (address !== undefined) return isIPv6(address);
    if (name === undefined) return false;
    return !name.includes(".") || isIPv4(name) || LOCALHOST.test(name) || this.#names.has(name);
  }
}
