import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { PROGRAMS } from "./programs.ts";
import { allRows, OVERS, planOf, programsOf, quickRows, type Over, type Row } from "./rows.ts";

const HTTP: Over = { transport: "http", family: 4 };
const UDP: Over = { transport: "udp", family: 4 };
const UDP_IPV6: Over = { transport: "udp", family: 6 };

const plan = (seeder: Row["seeder"], leecher: Row["leecher"], over: Over) =>
  planOf({ seeder, leecher, ...over });

describe("the rows", () => {
  test("are each pair of programs over each transport and family, once", () => {
    const names = allRows().map((row) => JSON.stringify(row));
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBe(PROGRAMS.length ** 2 * OVERS.length);
  });

  test("have the clients that docs/protocol.md names", () => {
    const document = readFileSync(`${import.meta.dir}/../../docs/protocol.md`, "utf8");
    const [section] = document.split(/^## /m).filter((part) => part.startsWith("Clients\n"));
    const named = [...section.matchAll(/^\| (\w+) [\d.]+ /gm)].map(([, name]) => name);
    expect(named.map((name) => name.toLowerCase())).toEqual(PROGRAMS);
  });

  test("that are quick leave out the clients that take long to install or to build", () => {
    const left = PROGRAMS.filter((program) => !programsOf(quickRows()).includes(program));
    expect(left).toEqual(["anacrolix", "ktorrent"]);
  });

  test("that are quick let each client seed and leech over all that it speaks", () => {
    const quick = quickRows();
    for (const over of OVERS) {
      for (const program of programsOf(quick)) {
        const can = (role: "leecher" | "seeder", rows: Row[]): boolean =>
          rows.some(
            (row) =>
              row[role] === program &&
              row.transport === over.transport &&
              row.family === over.family &&
              !("impossible" in planOf(row)),
          );
        for (const role of ["seeder", "leecher"] as const) {
          expect(can(role, quick)).toBe(can(role, allRows()));
        }
      }
    }
  });
});

describe("a row", () => {
  test("starts with the seeder, which the leecher gets from the tracker", () => {
    expect(plan("aria2", "libtorrent", HTTP)).toEqual({ first: "seeder" });
    expect(plan("transmission", "libtorrent", UDP_IPV6)).toEqual({ first: "seeder" });
  });

  test("starts with a leecher that takes no peers, which the seeder gets from the tracker", () => {
    expect(plan("libtorrent", "transmission", UDP_IPV6)).toEqual({ first: "leecher" });
    expect(plan("libtorrent", "anacrolix", UDP)).toEqual({ first: "leecher" });
  });

  test("is impossible if neither takes peers, with the reasons of both", () => {
    expect(plan("transmission", "ktorrent", UDP_IPV6)).toEqual({
      impossible: [
        "Transmission reads one IPv6 peer from UDP as three of IPv4",
        "KTorrent reads one IPv6 peer from UDP as three of IPv4",
      ],
    });
  });

  test("is impossible if one of them cannot announce over it", () => {
    expect(plan("ctorrent", "libtorrent", UDP)).toHaveProperty("impossible");
    expect(plan("libtorrent", "aria2", UDP_IPV6)).toHaveProperty("impossible");
  });

  test("is impossible if the two do not get on once they have met", () => {
    expect(plan("rtorrent", "aria2", HTTP)).toHaveProperty("impossible");
    expect(plan("aria2", "rtorrent", HTTP)).toEqual({ first: "seeder" });
  });
});
