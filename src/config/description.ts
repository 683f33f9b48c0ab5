/**
 * What is known of a setting besides how it is read: what it does, why an operator would change it,
 * its default and its range. `schema.ts` has the settings themselves.
 *
 * `setting` and `optional` make an entry of the schema, and `describe` gives back what it says.
 */
import { z } from "zod";

import type { Kind } from "./settings.ts";

/** Groups in the order they are shown. */
export const GROUPS = [
  "Listening",
  "Protocol",
  "Limits",
  "Addresses",
  "Access",
  "Statistics",
  "Observability",
] as const;

/** What is known of a setting besides how it is read. */
export interface Description {
  variable: string;
  group: (typeof GROUPS)[number];
  /** What it does, in a phrase. */
  text: string;
  /** Why an operator would change it, in sentences. */
  reason: string;
  /** What may be written, in a phrase; "" if the text says it. */
  range: string;
  /** The default as one would write it, or in words (see `computed`). */
  initial: string;
  /** True if `initial` is in words, because the value is worked out at start. */
  computed: boolean;
  /** True if the value must not be shown, and may come from the file named by `…_FILE`. */
  secret: boolean;
  show: (value: never) => string;
}

const DESCRIPTIONS = z.registry<Description>();

/** What an entry of the schema says. */
export interface Entry {
  text: string;
  reason: string;
  initial: string;
  secret?: boolean;
  show?: (value: never) => string;
  /** The default as text, if it is worked out at start; `initial` is then in words. */
  compute?: () => string;
}

/** A setting that always has a value. */
export function setting<V>(
  group: Description["group"],
  variable: string,
  kind: Kind<V>,
  entry: Entry,
) {
  const { initial, compute } = entry;
  const schema = kind.schema.prefault(compute ?? (() => initial));
  return schema.register(DESCRIPTIONS, toDescription(group, variable, kind.range, entry));
}

/** A setting without a value of its own unless one is given; `initial` says what happens then. */
export function optional<V>(
  group: Description["group"],
  variable: string,
  kind: Kind<V>,
  entry: Entry,
) {
  const description = toDescription(group, variable, kind.range, entry);
  return kind.schema.optional().register(DESCRIPTIONS, { ...description, computed: true });
}

function toDescription(
  group: Description["group"],
  variable: string,
  range: string,
  { text, reason, initial, secret = false, show = String, compute }: Entry,
): Description {
  const computed = compute !== undefined;
  return { variable, group, text, reason, range, initial, computed, secret, show };
}

/** What is known of a setting of the schema. */
export function describe(field: z.ZodType): Description {
  return DESCRIPTIONS.get(field)!;
}
