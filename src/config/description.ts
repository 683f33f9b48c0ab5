/**
 * The description of a setting: what it does, why an operator would change it, its default and its
 * range. `schema.ts` has the settings themselves.
 *
 * `setting` and `optional` make an entry of the schema, and `describe` returns its description.
 */
import * as z from "zod/mini";

import { type Kind, quote } from "./settings.ts";

/** Groups in the order of the documents. */
export const GROUPS = [
  "Listening",
  "Protocol",
  "WebSocket",
  "Limits",
  "Addresses",
  "Access",
  "Statistics",
  "Restart",
  "Cluster",
  "Observability",
] as const;

/** The description of a setting. */
export interface Description {
  variable: string;
  group: (typeof GROUPS)[number];
  /** What it does, in a phrase. */
  text: string;
  /** Why an operator would change it, in sentences. */
  reason: string;
  /** The allowed values, in a phrase; "" if `text` names them. */
  range: string;
  /** The default as an operator writes it, or in words (see `computed`). */
  initial: string;
  /** True if `initial` is in words, because the value is computed at the start. */
  computed: boolean;
  /** A value for the example file where no default can be shown, and what to know of it. */
  example: { value: string; text: string } | undefined;
  /** True if the value must not be shown, and may come from the file named by `…_FILE`. */
  secret: boolean;
  show: (value: never) => string;
  /** Quotes the text of the setting for a message, and may hide a part of it. */
  quote: (text: string) => string;
}

const DESCRIPTIONS = z.registry<Description>();

/** The description in an entry of the schema. */
export interface Entry {
  text: string;
  reason: string;
  initial: string;
  secret?: boolean;
  example?: { value: string; text: string };
  show?: (value: never) => string;
  /** For a text that may hold a password. */
  quote?: (text: string) => string;
  /** Computes the default as text at the start; `initial` is then in words. */
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
  const schema = z.prefault(kind.schema, compute ?? (() => initial));
  return schema.register(DESCRIPTIONS, toDescription(group, variable, kind.range, entry));
}

/** A setting that may be undefined; `initial` says what happens then. */
export function optional<V>(
  group: Description["group"],
  variable: string,
  kind: Kind<V>,
  entry: Entry,
) {
  const description = toDescription(group, variable, kind.range, entry);
  return z.optional(kind.schema).register(DESCRIPTIONS, { ...description, computed: true });
}

function toDescription(
  group: Description["group"],
  variable: string,
  range: string,
  { text, reason, initial, secret = false, example, show = String, compute, ...entry }: Entry,
): Description {
  const computed = compute !== undefined;
  const shown = { show, quote: entry.quote ?? quote };
  return { variable, group, text, reason, range, initial, computed, example, secret, ...shown };
}

/** The description of a setting of the schema. */
export function describe(field: z.ZodMiniType): Description {
  return DESCRIPTIONS.get(field)!;
}
