/**
 * Host names accepted in requests for pages that only this machine or its operator may see.
 *
 * A web page can make its own name resolve to 127.0.0.1, and then read from the operator's browser
 * everything that is shown to that address (DNS rebinding). The Host field still has the name of
 * the web page, so only these names pass, with any port:
 *
 *   127.0.0.1, [::1]     addresses: a browser sends one only if the URL has it
 *   localhost            and names that end in it: the machine resolves them [RFC 6761 6.3]
 *   tracker              names without a dot, as in a compose file: no public DNS has them
 *   tracker.example      the machine's own name and those in the settings
 *   (none)               HTTP/1.0, which no browser sends
 *
 * This does not protect against an attacker that controls the DNS of the machine's own network, and
 * so can make every name resolve to any address.
 */
import { isIPv4, isIPv6 } from "./addresses.ts";

const HOST = /^(?:\[([^\]]*)\]|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*))\.?(?::\d{1,5})?$/;
const LOCALHOST = /(^|\.)localhost$/;

export class OwnNames {
  readonly #names: ReadonlySet<string>;

  /** `names` also pass, in upper or lower case. */
  constructor(names: readonly string[]) {
    this.#names = new Set(names.map((name) => name.toLowerCase()));
  }

  /** True if a request with this value of the Host field passes; "" is a missing field. */
  has(field: string): boolean {
    if (field === "") return true;
    const [, address, name] = HOST.exec(field.toLowerCase()) ?? [];
    if (address !== undefined) return isIPv6(address);
    if (name === undefined) return false;
    return !name.includes(".") || isIPv4(name) || LOCALHOST.test(name) || this.#names.has(name);
  }
}
