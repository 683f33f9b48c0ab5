/**
 * Chooses the compression of an answer from the client's Accept-Encoding.
 *
 *   gzip, zstd;q=0.5        gzip
 *   gzip;q=0, *             zstd
 *   identity;q=1, *;q=0     none
 *
 * https://www.rfc-editor.org/rfc/rfc9110 (12.5.3), https://www.rfc-editor.org/rfc/rfc8878 (zstd)
 */

export type Encoding = "zstd" | "gzip" | "identity";

/** In our order of preference, which decides if the client has none. */
const OFFERED = ["zstd", "gzip"] as const;

/** `;q=` and a number from 0 to 1 with at most three decimals. */
const QUALITY = /^q=(0(\.\d{0,3})?|1(\.0{0,3})?)$/i;

/**
 * The encoding of the answer. An invalid weight counts as 0, so that the client gets an answer it
 * can read. A refusal of `identity` is ignored, since every client can read that.
 */
export function chooseEncoding(header: string): Encoding {
  const weights = new Map<string, number>();
  for (const part of header.split(",")) {
    const [name, ...parameters] = part.split(";").map((text) => text.trim());
    if (name !== "") weights.set(name.toLowerCase(), weightOf(parameters));
  }
  const of = (name: string): number => weights.get(name) ?? weights.get("*") ?? 0;
  const accepted = OFFERED.filter(
    (name) => of(name) > 0 && of(name) >= (weights.get("identity") ?? 0),
  );
  return accepted.toSorted((a, b) => of(b) - of(a))[0] ?? "identity";
}

function weightOf(parameters: readonly string[]): number {
  const quality = parameters.find((text) => /^q\s*=/i.test(text));
  if (quality === undefined) return 1;
  const match = QUALITY.exec(quality.replaceAll(/\s/g, ""));
  return match === null ? 0 : Number(match[1]);
}
