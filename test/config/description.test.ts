/** The description of an entry of the schema. */
import { expect, test } from "bun:test";

import { describe, optional, setting } from "../../src/config/description.ts";
import { count, quote } from "../../src/config/settings.ts";

const entry = { text: "doors that open", reason: "For a house with fewer doors.", initial: "4" };

test("a setting has its default, and is described with its range", () => {
  const doors = setting("Limits", "TRACKER_DOORS", count(1, 8), entry);
  expect(doors.parse(undefined)).toBe(4);
  expect(describe(doors)).toEqual({
    ...entry,
    variable: "TRACKER_DOORS",
    group: "Limits",
    range: "1 to 8",
    computed: false,
    example: undefined,
    secret: false,
    show: String,
    quote,
  });
});

test("a default that is worked out at start is described in words", () => {
  const computed = { ...entry, initial: "one for each room", compute: () => "7" };
  const doors = setting("Limits", "TRACKER_DOORS", count(1, 8), computed);
  expect(doors.parse(undefined)).toBe(7);
  expect(describe(doors)).toMatchObject({ initial: "one for each room", computed: true });
});

test("an optional setting has no value until one is given", () => {
  const doors = optional("Limits", "TRACKER_DOORS", count(1, 8), entry);
  expect(doors.parse(undefined)).toBeUndefined();
  expect(doors.parse("3")).toBe(3);
  expect(describe(doors).computed).toBe(true);
});
