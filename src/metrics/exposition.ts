/**
 * Prometheus' text format, version 0.0.4: how numbers become lines.
 *
 *   # HELP tracker_peers Peers stored.
 *   # TYPE tracker_peers gauge
 *   tracker_peers{role="seeder",family="ipv4"} 12
 *
 * A family is written completely before the next begins. Label values are escaped; names are fixed
 * and need no escapes.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import type { HistogramTotals } from "../counters/histograms.ts";

/** The content type that Prometheus 3 requires. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export type Labels = Readonly<Record<string, string>>;
export type FamilyType = "counter" | "gauge" | "histogram";

export class Exposition {
  #text = "";
  #name = "";

  /** Everything written so far. */
  get text(): string {
    return this.#text;
  }

  /** Begins a family; `help` is one sentence on one line. */
  family(name: string, type: FamilyType, help: string): this {
    this.#name = name;
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    return this;
  }

  /** Adds a sample to the current family. */
  sample(value: number, labels: Labels = {}): this {
    return this.#line(this.#name, labels, value);
  }

  /** Writes a family of one sample. */
  single(name: string, type: FamilyType, help: string, value: number): this {
    return this.family(name, type, help).sample(value);
  }

  /** Adds a histogram to the current family; `bounds` are those of its buckets. */
  histogram(totals: HistogramTotals, bounds: readonly number[], labels: Labels = {}): this {
    let events = 0;
    for (const [bucket, bound] of bounds.entries()) {
      events += totals.buckets[bucket];
      this.#line(`${this.#name}_bucket`, { ...labels, le: String(bound) }, events);
    }
    this.#line(`${this.#name}_bucket`, { ...labels, le: "+Inf" }, totals.count);
    this.#line(`${this.#name}_sum`, labels, totals.sum);
    return this.#line(`${this.#name}_count`, labels, totals.count);
  }

  #line(name: string, labels: Labels, value: number): this {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    this.#text += `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
    return this;
  }
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
