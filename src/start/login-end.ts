/**
 * The day on which a login at the NATS servers ends: the certificate of this tracker, the JWT of
 * its credentials, or the authorities that it trusts. A server says no more than that it refuses.
 */
import { expiryFields, showMinute } from "../admin/warnings.ts";
import type { LoginEnd, Login, Refusal } from "../cluster/link.ts";
import type { LogFields } from "../host/log.ts";

const REMEDY =
  "renew the file: it is read at the next connection, and when the tracker is reloaded";

/** What to warn of what has ended, or will within days, one for each file. */
export function loginWarnings(
  { ends = [] }: Login,
  nowSeconds1970: number,
): { message: string; fields: LogFields }[] {
  return ends.flatMap(({ variable, file, endsSeconds }) => {
    const fields = expiryFields(endsSeconds, nowSeconds1970);
    if (fields === undefined) return [];
    const what = "expired" in fields ? "has expired: they refuse this tracker" : "expires soon";
    const message = `a login at the NATS servers ${what}`;
    return [{ message, fields: { setting: variable, file, ...fields, remedy: REMEDY } }];
  });
}

/** When the first of a login ends, in seconds since 1970; null if none does. */
export function firstEnd({ ends = [] }: Login): number | null {
  const first = Math.min(...ends.map(({ endsSeconds }) => endsSeconds));
  return Number.isFinite(first) ? first : null;
}

/** A refusal, explained by a file that has ended, if there is one. */
export function explainByEnd<R extends Pick<Refusal, "reason" | "remedy">>(
  refusal: R,
  { ends = [] }: Login,
  nowSeconds1970: number,
): R {
  const ended = ends.find(({ endsSeconds }) => endsSeconds <= nowSeconds1970);
  if (ended === undefined) return refusal;
  return { ...refusal, reason: `${refusal.reason}; ${endOf(ended)}`, remedy: REMEDY };
}

const endOf = ({ variable, file, endsSeconds }: LoginEnd): string =>
  `${variable} is ${file}, which expired ${showMinute(endsSeconds)}`;
