/**
 * The pages of the operator's address: metrics, figures, hosts, cluster, swarms.
 *
 * What shows swarms is loaded by the first request for it.
 */
import type { AdminPage, SwarmsPage } from "../admin/admin.ts";
import type { Pages } from "../opentracker/pages.ts";
import type { Front } from "../page/front.ts";
import type { Store } from "../swarm/store.ts";
import type { HttpFront } from "./http-server.ts";
import type { SharedPeers } from "./share-peers.ts";

/** What the pages are made from. */
interface PageParts {
  store: Store;
  pages: Pick<Pages, "hostsText" | "largestSwarms">;
  front: Pick<Front, "feedResponse">;
  metrics: AdminPage;
  /** Undefined if peers are not shared with other trackers. */
  peers: Pick<SharedPeers, "figures"> | undefined;
  http: Pick<HttpFront, "browsers">;
}

const ALONE = "this tracker is alone: set TRACKER_CLUSTER_URL to share peers, and restart it\n";

/** The pages by path, and the one that shows swarms. */
export function operatorPages({ store, pages, front, metrics, peers, http }: PageParts) {
  const swarms: SwarmsPage = async (query) => {
    const { answerSwarms } = await import("../admin/swarm-pages.ts");
    return answerSwarms(query, {
      store,
      largest: () => pages.largestSwarms(),
      inBrowsers: (infoHash) => http.browsers?.countsOf(infoHash),
    });
  };
  const byPath = {
    "/metrics": metrics,
    "/live": () => front.feedResponse(),
    "/cluster": () =>
      peers === undefined
        ? new Response(ALONE, { status: 404, headers: { "Content-Type": "text/plain" } })
        : Response.json(peers.figures()),
    "/hosts": () => new Response(pages.hostsText()),
  };
  return { pages: byPath, swarms };
}
