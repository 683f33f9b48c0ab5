import { describe, expect, test } from "bun:test";
import {
  isPath,
  kindOfPath,
  PATH_ANNOUNCE,
  PATH_MISTAKEN,
  PATH_OTHER,
  PATH_SCRAPE,
  pathEnd,
  trimmedEnd,
} from "../../src/http/paths.ts";

/** The kind of a target, which lies in other text as it does in a request. */
function kindOf(target: string): number {
  const text = `GET http://h${target} HTTP/1.1\r\n/announce?info_hash=`;
  const from = "GET http://h".length;
  const targetTo = from + target.length;
  const end = pathEnd(text, from, targetTo);
  const queryAt = text[end] === "?" ? end + 1 : targetTo;
  return kindOfPath(text, from, trimmedEnd(text, from, end), queryAt, targetTo);
}

describe("a part with the name of a request makes the path one, wherever it is", () => {
  test.each([
    ...["/announce", "/announce.php", "/announce/", "//announce", "/%61nnounce", "/announce?x"],
    ...["/0a1b2c/announce", "/0a1b2c/announce.php", "/tracker/announce.php/0a1b2c"],
    ...["/announce/0a1b2c", "/announce/0a1b2c/", "/announce.php/0a1b2c", "/scrape/0a1b/announce"],
  ])("%s is an announce", (target) => {
    expect(kindOf(target)).toBe(PATH_ANNOUNCE);
  });

  test.each([
    ...["/scrape", "/scrape.php", "/scrape/", "//scrape", "/0a1b2c/scrape", "/scrape/0a1b2c"],
    ...["/scrape.php/0a1b2c", "/tracker/scrape.php/0a1b2c"],
    // The key begins with the letter of an announce.
    ...["/a1b2c3/scrape?info_hash=x", "/scrape/a1b2c3?info_hash=x", "/announce/scrape"],
  ])("%s is a scrape", (target) => {
    expect(kindOf(target)).toBe(PATH_SCRAPE);
  });
});

describe("with an info hash the first letters make the path one, as in opentracker", () => {
  test.each(["/a", "//a", "/%61", "/abc/x", "/announces", "/announce.html", "/a/", "", "/", "//"])(
    "%s is an announce",
    (path) => {
      for (const query of ["info_hash=x", "port=1&info_hash=x", "port=1&amp;info_hash=x"]) {
        expect([path, query, kindOf(`${path}?${query}`)]).toEqual([path, query, PATH_ANNOUNCE]);
      }
      expect(kindOf(path)).toBe(PATH_OTHER);
      expect(kindOf(`${path}?hash=x&xinfo_hash=`)).toBe(PATH_OTHER);
    },
  );

  test.each(["/sc", "/scarlet", "/%73%63", "//scrapes/x"])("%s is a scrape", (path) => {
    expect(kindOf(`${path}?info_hash=x`)).toBe(PATH_SCRAPE);
    expect(kindOf(path)).toBe(PATH_OTHER);
  });
});

test.each(["/s", "/xannounce", "/ANNOUNCE", "/%zz", "/%6", "/passwd", "/x/health", "*"])(
  "%s is neither, even with an info hash",
  (path) => {
    expect(kindOf(`${path}?info_hash=x`)).toBe(PATH_OTHER);
  },
);

test.each(["/announce", "/0a1b2c/announce", "/announce/0a1b2c"])(
  "%s may have an escaped blank at its end",
  (path) => {
    for (const blank of ["%20", "%09", "%0d%0a", "%0D%0A", "%20/", "/%20%20"]) {
      expect([blank, kindOf(path + blank)]).toEqual([blank, PATH_ANNOUNCE]);
    }
    expect(kindOf("/x%20announce")).toBe(PATH_OTHER);
    expect(kindOf("/health%2")).toBe(PATH_OTHER);
  },
);

test.each(["/stats", "/live", "/health", "/ready", "/favicon.ico", "//stats/", "/%73tats"])(
  "%s with an info hash is a mistake",
  (path) => {
    expect(kindOf(`${path}?info_hash=x`)).toBe(PATH_MISTAKEN);
    expect(kindOf(`${path}?mode=peer`)).toBe(PATH_OTHER);
    expect(kindOf(path)).toBe(PATH_OTHER);
  },
);

test("an info hash of the next request is none of this one", () => {
  expect(kindOf("/a?port=1")).toBe(PATH_OTHER);
  expect(kindOf("/a?port=1&info_hash")).toBe(PATH_OTHER);
});

test("a path is compared decoded, with repeated slashes read as one", () => {
  const is = (path: string) => isPath(path, 0, path.length, "/health");
  expect(["/health", "//health", "/%68ealth", "///%68%65alth"].filter(is)).toHaveLength(4);
  expect(["/healthy", "/healt", "/he/alth", "/%zzealth", "/HEALTH"].filter(is)).toEqual([]);
});
