"""One libtorrent peer of one private torrent, until SIGTERM; for the matrix of real clients.

  libtorrent_peer.py ADDRESS PORT DIRECTORY TORRENT

Listens on and connects from ADDRESS only, finds peers through the tracker only, keeps the file in
DIRECTORY: if it is whole there, it is seeded, if not, it is downloaded. Runs with the system's
Python, where Debian's python3-libtorrent lives. Leaves the swarm properly when told to end.
"""

import signal
import sys
import time

import libtorrent

LEAVING_SECONDS_MAX = 3


def main(address: str, port: str, directory: str, torrent: str) -> None:
    listen = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    session = libtorrent.session(
        {
            "listen_interfaces": listen,
            "outgoing_interfaces": address,
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "alert_mask": libtorrent.alert.category_t.all_categories,
        }
    )
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(torrent)
    parameters.save_path = directory
    parameters.flags |= (
        libtorrent.torrent_flags.disable_dht
        | libtorrent.torrent_flags.disable_lsd
        | libtorrent.torrent_flags.disable_pex
    )
    parameters.flags &= ~(libtorrent.torrent_flags.paused | libtorrent.torrent_flags.auto_managed)
    handle = session.add_torrent(parameters)

    told_to_end = []
    signal.signal(signal.SIGTERM, lambda *_: told_to_end.append(True))
    while not told_to_end:
        report(session)
        time.sleep(0.1)

    session.pause()
    deadline = time.monotonic() + LEAVING_SECONDS_MAX
    while time.monotonic() < deadline:
        if any(isinstance(alert, libtorrent.tracker_reply_alert) for alert in report(session)):
            break
        time.sleep(0.05)
    session.remove_torrent(handle)


def report(session: "libtorrent.session") -> list:
    """Prints what the trackers said, and gives all alerts since the last call."""
    alerts = session.pop_alerts()
    for alert in alerts:
        if alert.category() & libtorrent.alert.category_t.tracker_notification:
            print(alert.message(), flush=True)
    return alerts


if __name__ == "__main__":
    main(*sys.argv[1:])
