"""One libtorrent that announces many swarms at once over HTTP, and leaves them all at once.

  libtorrent_crowd.py ADDRESS URL COUNT

Each announce is a connection of its own from ADDRESS. When every swarm has had its answer, good or
bad, the session is paused, which sends a stop for each. Prints one line of JSON: how many announces
were answered and how many failed, before the stops and during them, and the first few errors.
"""

import json
import resource
import sys
import time

import libtorrent

ANNOUNCE_SECONDS_MAX = 40
STOP_SECONDS_MAX = 20


def main(address: str, url: str, count: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    swarms = int(count)
    session = libtorrent.session(
        {
            "listen_interfaces": f"{address}:6881",
            "outgoing_interfaces": address,
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "max_concurrent_http_announces": swarms,
            "alert_mask": libtorrent.alert.category_t.tracker_notification
            | libtorrent.alert.category_t.error_notification,
            "alert_queue_size": 100 * swarms,
        }
    )
    errors: list = []
    for number in range(swarms):
        magnet = f"magnet:?xt=urn:btih:{number + 1:040x}&tr={url}"
        parameters = libtorrent.parse_magnet_uri(magnet)
        parameters.save_path = "/nowhere"
        parameters.flags &= ~libtorrent.torrent_flags.auto_managed
        parameters.flags &= ~libtorrent.torrent_flags.paused
        session.async_add_torrent(parameters)
    answered, failed = outcomes(session, swarms, ANNOUNCE_SECONDS_MAX, errors)
    session.pause()
    stopped, lost = outcomes(session, swarms, STOP_SECONDS_MAX, errors)
    told = {"answered": answered, "failed": failed, "stopped": stopped, "lost": lost}
    print(json.dumps({**told, "errors": errors[:5]}), flush=True)


def outcomes(session: "libtorrent.session", wanted: int, seconds: float, errors: list) -> tuple:
    """Waits until so many announces have ended; how many were answered, and how many failed."""
    answered, failed = 0, 0
    deadline = time.monotonic() + seconds
    while answered + failed < wanted and time.monotonic() < deadline:
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            if isinstance(alert, libtorrent.tracker_reply_alert):
                answered += 1
            elif isinstance(alert, libtorrent.tracker_error_alert):
                failed += 1
                errors.append(alert.message())
    return answered, failed


if __name__ == "__main__":
    main(*sys.argv[1:])
