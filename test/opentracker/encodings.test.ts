import { expect, test } from "bun:test";
import { chooseEncoding } from "../../src/opentracker/encodings.ts";

test.each([
  ["", "identity"],
  ["gzip", "gzip"],
  ["GZip", "gzip"],
  ["zstd", "zstd"],
  ["gzip, deflate, br, zstd", "zstd"],
  ["gzip;q=0", "identity"],
  ["gzip;q=0.000", "identity"],
  ["gzip ; q=0.5", "gzip"],
  ["zstd;q=0.5, gzip", "gzip"],
  ["zstd;q=0, gzip;q=0.1", "gzip"],
  ["*", "zstd"],
  ["*;q=0", "identity"],
  ["zstd;q=0, *", "gzip"],
  ["*;q=0, gzip", "gzip"],
  ["identity", "identity"],
  ["identity, gzip;q=0.5", "identity"],
  ["identity;q=0.5, gzip", "gzip"],
  ["gzip-less", "identity"],
  ["x-gzip", "identity"],
  ["gzip;q=2", "identity"],
  ["gzip;q=nonsense", "identity"],
  ["gzip;q=", "identity"],
  ["gzip;level=9", "gzip"],
  [",, ,", "identity"],
])("a client that accepts %p is answered in %s", (header, encoding) => {
  expect(chooseEncoding(header)).toBe(encoding as "gzip");
});
