/** The results as text of 80 columns, as JSON and as JUnit's XML. */
import { expect, test } from "bun:test";

import type { Report } from "../../../src/verbs/conformance/conformance.ts";
import {
  reportAs,
  textOf,
  textOfWeights,
} from "../../../src/verbs/conformance/conformance-report.ts";

const long = `16 bytes: ${"0a".repeat(300)}`;
const result = { sent: "GET /announce?a", came: "200 d1:\u202ee", problem: "" } as const;
const reports: Report[] = [
  {
    url: "udp://tracker.example.org:6969/announce",
    address: "192.0.2.1",
    problem: "",
    results: [
      { ...result, id: "BEP3.good", weight: "must", says: "it is good", outcome: "held" },
      {
        ...{ id: "BEP15.bad", weight: "must", says: "an <answer> & more is right" },
        ...{ outcome: "broken", problem: 'it is "wrong"', sent: long, came: "nothing" },
      },
      {
        ...{ ...result, id: "BEP15.odd", weight: "custom", says: "it is usual" },
        ...{ outcome: "broken", problem: "it is unusual" },
      },
      {
        ...{ ...result, id: "BEP48.none", weight: "should", says: "there is a scrape" },
        ...{ outcome: "not tried", problem: "the URL has no scrape" },
      },
    ],
  },
  { url: "nonsense", address: "", problem: "it is not a URL", results: [] },
];

test("text has what is right, wrong, was sent and came, within 80 columns", () => {
  const text = reports.map(textOf).join("") + textOfWeights();
  expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
  expect(text).toStartWith("udp://tracker.example.org:6969/announce at 192.0.2.1\n");
  expect(text).toContain(
    "  must:      BEP15.bad\n" +
      "    right:   an <answer> & more is right\n" +
      '    wrong:   it is "wrong"\n' +
      "    sent:    16 bytes:\n",
  );
  expect(text).toContain("  custom:    BEP15.odd\n");
  expect(text).toContain("  not tried: the URL has no scrape: BEP48.none\n");
  expect(text).toContain(
    "  sum:       1 of 4 statements hold; broken: must 1, should 0, custom 1\n",
  );
  expect(text).toContain("nonsense\n  wrong:     it is not a URL\n");
  expect(text).toEndWith("  custom:    trackers differ, and clients manage\n");
  expect(text).not.toContain("BEP3.good");
  expect(text).not.toMatch(/(?!\n)\p{C}/u);
});

test("JSON has everything", () => {
  const read = JSON.parse(reportAs("json", reports)) as { good: boolean; reports: Report[] };
  expect(read.good).toBe(false);
  expect(read.reports).toEqual(reports);
});

test("JUnit fails for a broken must alone, and is escaped", () => {
  const xml = reportAs("junit", reports);
  expect(xml).toContain('tests="4" failures="1" skipped="1"');
  expect(xml).toContain("an &lt;answer&gt; &amp; more is right");
  expect(xml).toContain('<failure type="must" message="it is &quot;wrong&quot;">');
  expect(xml).toContain("<system-out>custom: it is unusual");
  expect(xml).toContain('<skipped message="the URL has no scrape"/>');
  expect(xml).toContain('<failure message="it is not a URL"/>');
  const tags = [...xml.matchAll(/<(\/?)([a-z-]+)[^>]*?(\/?)>/g)].filter(([, , , empty]) => !empty);
  const open: string[] = [];
  for (const [, end, name] of tags) {
    if (end) expect(open.pop()).toBe(name);
    else open.push(name);
  }
  expect(open).toEqual([]);
});
