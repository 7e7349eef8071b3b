/** A ranking while it is made, and where two texts differ. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { differences } from "../../src/feedback/elements/differences";
import { drop, move, orderOf, type RankingOrder, ranksOf, toggleTie } from "../../src/feedback/elements/ranking-order";

/** Groups of 0 ... n - 1 in any order. */
const anyOrder: fc.Arbitrary<RankingOrder> = fc
  .integer({ min: 2, max: 6 })
  .chain((n) =>
    fc.tuple(fc.shuffledSubarray([...Array(n).keys()], { minLength: n }), fc.array(fc.boolean(), { minLength: n, maxLength: n })),
  )
  .map(([items, ties]) => {
    const groups: number[][] = [];
    for (const [i, item] of items.entries()) {
      if (groups.length > 0 && ties[i]) groups.at(-1)?.push(item);
      else groups.push([item]);
    }
    return groups;
  });

const flat = (order: RankingOrder) => order.flat();

describe("a ranking", () => {
  it("moves, ties and drops as it says", () => {
    const order: RankingOrder = [[0], [1, 2], [3]];
    expect(ranksOf(order)).toEqual([1, 2, 2, 4]);
    expect(orderOf([1, 2, 2, 4], [3, 2, 1, 0])).toEqual([[0], [2, 1], [3]]);
    expect(move(order, 3, -1)).toEqual([[0], [3], [1, 2]]);
    expect(move(order, 2, -1)).toEqual([[0], [2], [1], [3]]);
    expect(move(order, 1, 1)).toEqual([[0], [2], [1], [3]]);
    expect(move(order, 0, -1)).toBe(order);
    expect(toggleTie(order, 3)).toEqual([[0], [1, 2, 3]]);
    expect(toggleTie(order, 2)).toEqual([[0], [1], [2], [3]]);
    expect(toggleTie(order, 0)).toBe(order);
    expect(drop(order, 3, 2)).toEqual([[0], [1, 3, 2]]);
    expect(drop(order, 3, 1)).toEqual([[0], [3], [1, 2]]);
    expect(drop(order, 0, 3)).toEqual([[1, 2], [3], [0]]);
    expect(drop(order, 1, 0)).toEqual([[1], [0], [2], [3]]);
  });

  it("keeps every completion, and each step has its way back", () => {
    fc.assert(
      fc.property(anyOrder, fc.nat(), fc.nat(), (order, a, b) => {
        const items = flat(order);
        const item = a % items.length;
        const place = b % items.length;
        const dropped = drop(order, item, place);
        for (const after of [move(order, item, 1), move(order, item, -1), toggleTie(order, item), dropped]) {
          expect([...flat(after)].sort()).toEqual([...items].sort());
          expect(after.every((group) => group.length > 0)).toBe(true);
        }
        expect(toggleTie(toggleTie(order, item), item)).toEqual(order);
        expect(flat(dropped).indexOf(item)).toBe(place);
        expect(orderOf(ranksOf(order), items)).toEqual(order);
        const alone = order.find((group) => group.includes(item))?.length === 1;
        if (alone && flat(order).at(-1) !== item) expect(move(move(order, item, 1), item, -1)).toEqual(order);
      }),
      { seed: 5 },
    );
  });
});

describe("differences", () => {
  it("marks the words that differ where most is the same, and nothing else", () => {
    expect(differences("the tide comes from the wind.", "the tide comes from the Moon.")).toEqual([
      ["the tide comes from the ", "wind.", ""],
      ["the tide comes from the ", "Moon.", ""],
    ]);
    expect(differences("a long text about the sea", "a long text about the sea and sand")?.[0]).toEqual([
      "a long text about the sea",
      "",
      "",
    ]);
    expect(differences("the sea", "the sea")).toBeUndefined();
    expect(differences("the sea is blue", "the sand gets hot in the sun")).toBeUndefined();
  });

  it("never changes what is shown", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("a", "b", " ", "\n"), { maxLength: 12 }),
        fc.array(fc.constantFrom("a", "b", " "), { maxLength: 12 }),
        (a, b) => {
          const [first, second] = [a.join(""), b.join("")];
          const found = differences(first, second);
          if (found) expect(found.map((parts) => parts.join(""))).toEqual([first, second]);
        },
      ),
      { seed: 6 },
    );
  });
});
