/**
 * Campaigns against what reads settings: each value by its reader, and whole environments.
 */
import { descriptions, readConfig } from "../../src/config/config.ts";
import { describe } from "../../src/config/description.ts";
import { SCHEMA } from "../../src/config/schema.ts";
import { mutateText } from "./mutations.ts";
import { must } from "./oracle.ts";
import { type Campaign, judge } from "./readers.ts";

const VALUES = ["0", "-1", "1e3", "99999999999999999999", "30m", "1GiB", "yes", "", ",", "::"];
const CHARACTERS = "0123456789:.,[]/ mhKiB\n\0";

/** One setting's value: it is read, or there is a sentence about it. */
export function valueCampaign(): Campaign {
  const readers = Object.values(SCHEMA.shape).map((field) => ({
    field,
    initial: describe(field).initial,
  }));
  return {
    name: "values of settings",
    run(random, count) {
      let text = "";
      for (let i = 0; i < count; i++) {
        const { field, initial } = random.pick(readers);
        const seed = random.oneIn(3) ? random.pick(VALUES) : initial;
        text = mutateText(random, random.oneIn(4) ? text : seed, CHARACTERS).slice(0, 300);
        const result = field.safeParse(text);
        if (result.success) continue;
        judge(text, () => {
          const sentences = result.error.issues.map(({ message }) => message);
          must(sentences.length > 0, "wrong, but nothing is");
          must(sentences.every(isSentence), `no sentence: ${JSON.stringify(sentences)}`);
        });
      }
    },
  };
}

/** A name may begin with spaces of any kind, which a sentence shows escaped. */
const NAMES_FIRST = /^(?: |\\\w+)*TRACKER_/;

const isSentence = (text: string): boolean => /^[^\n\r\0]{10,2000}$/.test(text);

/** All settings at once: a configuration that is whole, or sentences about what is wrong. */
export function configCampaign(): Campaign {
  const settings = descriptions();
  return {
    name: "settings",
    run(random, count) {
      for (let i = 0; i < count; i++) {
        const env: Record<string, string> = {};
        for (let k = random.below(4); k >= 0; k--) {
          const { variable, initial } = random.pick(settings);
          const text = random.oneIn(3) ? random.pick(VALUES) : initial;
          const name = random.oneIn(20) ? mutateText(random, variable, "_AZ") : variable;
          env[name] = random.oneIn(4) ? text : mutateText(random, text, CHARACTERS);
        }
        const result = readConfig(env);
        judge(env, () => {
          if (!("problems" in result)) return must(result.config.intervalSeconds >= 1, "interval");
          must(result.problems.length > 0, "wrong, but nothing is");
          for (const problem of result.problems) {
            must(isSentence(problem), `no sentence: ${JSON.stringify(problem)}`);
            must(NAMES_FIRST.test(problem), `names no setting: ${problem}`);
          }
        });
      }
    },
  };
}
