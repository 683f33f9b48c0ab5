import { expect, test } from "bun:test";
import fc from "fast-check";
import { Chain, Link } from "../../src/http/chain.ts";

/** The values of a chain, read from both ends. */
function valuesOf(chain: Chain<number>): number[] {
  const there: number[] = [];
  for (let link = chain.first; link !== undefined; link = link.after) there.push(link.value);
  const back: number[] = [];
  for (let link = chain.last; link !== undefined; link = link.before) back.push(link.value);
  expect(back.toReversed()).toEqual(there);
  return there;
}

test("links join at the end, move to the end and leave from any position", () => {
  const step = fc.record({ at: fc.nat(4), what: fc.constantFrom("append", "leave", "move") });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const chain = new Chain<number>();
      const links = [0, 1, 2, 3, 4].map((value) => new Link(value));
      let model: number[] = [];
      for (const { at, what } of steps) {
        const known = model.includes(at);
        const link = links[at]!;
        if (what === "append") chain.append(link);
        else if (what === "leave") link.leave();
        else link.moveToEnd();
        model = model.filter((value) => value !== at);
        if (what === "append" || (what === "move" && known)) model.push(at);
        expect(valuesOf(chain)).toEqual(model);
      }
    }),
  );
});

test("a link is in one chain at a time", () => {
  const [first, second] = [new Chain<number>(), new Chain<number>()];
  const link = new Link(1);
  first.append(link);
  second.append(link);
  expect([valuesOf(first), valuesOf(second)]).toEqual([[], [1]]);
});
