/** Fixtures of whole WebSockets: from a request for an upgrade on. */
import { Access } from "../../src/access/access.ts";
import { counterMemory, Counters } from "../../src/counters/counters.ts";
import { Client } from "../../src/gates/client.ts";
import { Limits } from "../../src/limits/limits.ts";
import { Networks } from "../../src/net/addresses.ts";
import type { UpgradeRequest } from "../../src/net/tunnel.ts";
import type { AllowedHosts } from "../../src/notes/hosts.ts";
import type { OriginSettings } from "../../src/ws/origins.ts";
import { WebSockets, type WebSocketSettings } from "../../src/ws/web-sockets.ts";
import { type Asked, exchangeOf, openTracker } from "../http/fixture.ts";
import { UPGRADE_FIELDS } from "./upgrade.ts";

export type Upgrade = Partial<Asked>;

export function upgradeRequest({ target = "/", headers = {}, ...how }: Upgrade): UpgradeRequest {
  const exchange = exchangeOf({ target, ...how, headers: { ...UPGRADE_FIELDS, ...headers } });
  if (exchange === undefined) throw new Error("the request is malformed");
  return exchange;
}

export interface SocketChanges {
  access?: Access;
  limits?: Limits;
  refusePrivate?: boolean;
  hosts?: AllowedHosts;
  proxies?: string[];
  settings?: Partial<Omit<WebSocketSettings, "origins">> & { origins?: Partial<OriginSettings> };
}

export function openSockets(changes: SocketChanges = {}) {
  const { access = new Access(), limits = new Limits(), refusePrivate = false } = changes;
  const { hosts, proxies = [], settings = {} } = changes;
  const counters = new Counters(counterMemory(1), 0);
  const full = { count: 0 };
  const unclear = { count: 0 };
  const sockets = new WebSockets({
    ...{ hosts, notes: undefined, counters },
    client: new Client(new Networks(proxies), "x-forwarded-for"),
    core: openTracker(),
    intervals: { draw: () => 120 },
    gates: { access, limits, refusePrivate },
    now: () => 1000,
    // Without turns of the event loop the time of one is never over.
    clock: () => 0,
    report: (error) => {
      throw error;
    },
    full: () => void (full.count += 1),
    unclearProxy: () => void (unclear.count += 1),
    settings: {
      ...{ pingSeconds: 50, offersMax: 10, peersMax: 1000, countsAll: true, scrapeMax: 74 },
      ...{ connectionsMax: 100, connectionsPerAddressMax: 64, warningMessage: "" },
      connectionsPerSiteMax: 80,
      ...settings,
      origins: { allowed: [], denied: [], connectionsMax: 100, ...settings.origins },
    },
  });
  return { sockets, counters, full, unclear };
}
