/**
 * Which compression a client takes, read from its Accept-Encoding as the standard has it.
 *
 *   gzip, zstd;q=0.5        gzip
 *   gzip;q=0, *             zstd
 *   identity;q=1, *;q=0     none
 *
 * https://www.rfc-editor.org/rfc/rfc9110 (12.5.3), https://www.rfc-editor.org/rfc/rfc8878 (zstd)
 */

export type Encoding = "zstd" | "gzip" | "identity";

/** In the order we prefer, where the client has no preference. */
const OFFERED = ["zstd", "gzip"] as const;

/** `;q=` and a number from 0 to 1 with at most three decimals. */
const QUALITY = /^q=(0(\.\d{0,3})?|1(\.0{0,3})?)$/i;

/**
 * What to answer with. A weight that is no weight counts as 0: better plain than unreadable. The
 * client's refusal of `identity` is not heard, since everybody can read that.
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
