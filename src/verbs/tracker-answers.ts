/**
 * What trackers are asked and what they answer, whatever the transport: what the clients of
 * `selftest` have in common.
 */

export interface Announcement {
  /** 20 bytes each. */
  infoHash: Uint8Array;
  peerId: Uint8Array;
  port: number;
  left: number;
  event: "none" | "started" | "completed" | "stopped";
}

export interface Announced {
  /** Seconds to wait before the next announce. */
  interval: number;
  seeders: number;
  leechers: number;
  /** Ports of the peers that were told: enough to recognise them by. */
  peerPorts: number[];
}

export interface Scraped {
  seeders: number;
  leechers: number;
}

/** Ports of peers of `size` bytes each, 6 or 18; undefined if that is not what these bytes are. */
export function readPorts(bytes: Uint8Array, size: number): number[] | undefined {
  if (bytes.length % size !== 0) return undefined;
  const ports: number[] = [];
  for (let at = size - 2; at < bytes.length; at += size)
    ports.push((bytes[at] << 8) | bytes[at + 1]);
  return ports;
}
