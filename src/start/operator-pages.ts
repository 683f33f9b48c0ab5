/**
 * The pages of the operator's address: metrics, figures, hosts, swarms.
 *
 * What shows swarms is loaded by the first request for it.
 */
import type { AdminPage, SwarmsPage } from "../admin/admin.ts";
import type { Pages } from "../opentracker/pages.ts";
import type { Front } from "../page/front.ts";
import type { Store } from "../swarm/store.ts";
import type { Browsers } from "./browsers.ts";

/** What the pages are made from. */
interface PageParts {
  store: Store;
  pages: Pick<Pages, "hostsText" | "largestSwarms">;
  front: Pick<Front, "feedResponse">;
  metrics: AdminPage;
  /** Undefined if WebSockets are off. */
  browsers: Pick<Browsers, "countsOf"> | undefined;
}

/** The pages by path, and the one that shows swarms. */
export function operatorPages({ store, pages, front, metrics, browsers }: PageParts) {
  const swarms: SwarmsPage = async (query) => {
    const { answerSwarms } = await import("../admin/swarm-pages.ts");
    return answerSwarms(query, {
      store,
      largest: () => pages.largestSwarms(),
      inBrowsers: (infoHash) => browsers?.countsOf(infoHash),
    });
  };
  const byPath = {
    "/metrics": metrics,
    "/live": () => front.feedResponse(),
    "/hosts": () => new Response(pages.hostsText()),
  };
  return { pages: byPath, swarms };
}
