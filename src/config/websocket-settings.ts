/**
 * The settings of WebSocket, which are part of the schema (see schema.ts).
 */
import { optional, setting } from "./description.ts";
import { choice, count, origins, seconds, showSeconds } from "./settings.ts";

const HOUR = 3600;
const DAY = 24 * HOUR;
const COUNT_MAX = 100_000_000;

/** More offers than any client makes at a time. */
const OFFERS_CEILING = 50;

const showList = (value: string[]): string => value.join(",");

/** What WebTorrent clients may do. */
export const WEBSOCKET_SETTINGS = {
  websocket: setting("WebSocket", "TRACKER_WEBSOCKET", choice(["on", "off"]), {
    text: "whether WebTorrent clients may announce, at ws:// and wss:// of the HTTP addresses",
    reason: "Turn it off for a tracker of programs alone; browsers then find nobody by it.",
    initial: "on",
  }),
  websocketIntervalSeconds: setting("WebSocket", "TRACKER_WEBSOCKET_INTERVAL", seconds(10, DAY), {
    text: "how long WebTorrent clients wait between announces; libtorrent waits 60s at least",
    reason: "Each announce offers connections: a shorter one finds peers sooner and costs more.",
    initial: "2m",
    show: showSeconds,
  }),
  websocketPingSeconds: setting("WebSocket", "TRACKER_WEBSOCKET_PING", seconds(5, HOUR), {
    text: "silence after which a WebTorrent client is asked whether it lives",
    reason: "Keep it below the time after which a proxy in between closes: nginx takes 60s.",
    initial: "50s",
    show: showSeconds,
  }),
  websocketConnectionsMax: optional(
    "WebSocket",
    "TRACKER_WEBSOCKET_CONNECTIONS_MAX",
    count(1, COUNT_MAX),
    {
      text: "how many connections may be WebSockets; further ones are answered 503",
      reason: "Raise it on a tracker for browsers, lower it so that HTTP keeps more.",
      initial: "half of TRACKER_HTTP_CONNECTIONS_MAX",
    },
  ),
  websocketConnectionsPerOriginMax: optional(
    "WebSocket",
    "TRACKER_WEBSOCKET_CONNECTIONS_PER_ORIGIN_MAX",
    count(1, COUNT_MAX),
    {
      text: "how many WebSockets the pages of one origin may have; further ones are answered 503",
      reason: "Lower it on a public tracker, so that one site does not take all connections.",
      initial: "all of them",
    },
  ),
  websocketPeersMax: optional("WebSocket", "TRACKER_WEBSOCKET_PEERS_MAX", count(1, COUNT_MAX), {
    text: "how many WebSocket peers are stored; one address has a sixteenth of them at most",
    reason: "Lower it to bound the memory of browsers, some 450 bytes for each peer.",
    initial: "eight for each connection",
  }),
  websocketOffersMax: setting(
    "WebSocket",
    "TRACKER_WEBSOCKET_OFFERS_MAX",
    count(0, OFFERS_CEILING),
    {
      text: "offers of one announce that are passed on to other browsers",
      reason: "Fewer save traffic; a browser makes 5, other clients up to 10.",
      initial: "10",
    },
  ),
  websocketOrigins: setting("WebSocket", "TRACKER_WEBSOCKET_ORIGINS", origins(), {
    text: "origins whose pages may connect, by comma, such as https://*.example.org; empty is all",
    reason:
      "To serve your own sites only. A star is one label. Name none as well for clients that are " +
      "no browsers.",
    initial: "",
    show: showList,
  }),
  websocketDenyOrigins: setting("WebSocket", "TRACKER_WEBSOCKET_DENY_ORIGINS", origins(), {
    text: "origins whose pages may not connect, by comma; none is a client without an origin",
    reason: "To refuse sites that use the tracker more than you like. A star is one label or more.",
    initial: "",
    show: showList,
  }),
  websocketCounts: setting("WebSocket", "TRACKER_WEBSOCKET_COUNTS", choice(["all", "websocket"]), {
    text: "whether counts that WebTorrent clients get include the peers of HTTP and UDP",
    reason: "Set websocket to tell browsers only of peers that they can reach.",
    initial: "all",
  }),
};
