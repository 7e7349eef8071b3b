/** Word problems in the style of GSM8K, generated with their exact answers. */
import { randomInt, type Seed } from "@trimtab/kernels";
import type { DatasetRow } from "../data/jsonl";

const NAMES = ["Ada", "Ben", "Clara", "Dev", "Emma", "Farid", "Grace", "Hugo"];
const THINGS = ["apples", "books", "coins", "marbles", "pencils", "shells", "stamps", "stickers"];

/** Draws a whole number from `low` to `high`. */
type Draw = (low: number, high: number) => number;

interface Problem {
  readonly question: string;
  /** Steps as GSM8K writes them: an expression and what it is. */
  readonly steps: readonly (readonly [expression: string, value: number])[];
}

const KINDS: readonly ((name: string, things: string, draw: Draw) => Problem)[] = [
  (name, things, draw) => {
    const [boxes, each, lost] = [draw(3, 19), draw(4, 25), draw(1, 9)];
    return {
      question: `${name} has ${boxes} boxes with ${each} ${things} in each and gives ${lost} ${things} away. How many ${things} are left?`,
      steps: [
        [`${boxes}*${each}`, boxes * each],
        [`${boxes * each}-${lost}`, boxes * each - lost],
      ],
    };
  },
  (name, things, draw) => {
    const [price, count, paid] = [draw(2, 15), draw(3, 12), draw(1, 20)];
    return {
      question: `${name} buys ${count} ${things} for $${price} each and pays $${paid} for delivery. How many dollars is that in all?`,
      steps: [
        [`${count}*${price}`, count * price],
        [`${count * price}+${paid}`, count * price + paid],
      ],
    };
  },
  (name, things, draw) => {
    const [friends, each, own] = [draw(2, 9), draw(3, 15), draw(1, 5)];
    const found = friends * each - own;
    return {
      question: `${name} has ${own} ${things}, finds ${found} more, and shares all of them among ${friends} friends. How many ${things} does each friend get?`,
      steps: [
        [`${own}+${found}`, friends * each],
        [`${friends * each}/${friends}`, each],
      ],
    };
  },
  (name, things, draw) => {
    const [first, times, days] = [draw(2, 30), draw(2, 6), draw(2, 9)];
    return {
      question: `${name} sells ${first} ${things} on the first day and ${times} times as many on each of the next ${days} days. How many ${things} is that altogether?`,
      steps: [
        [`${first}*${times}*${days}`, first * times * days],
        [`${first}+${first * times * days}`, first + first * times * days],
      ],
    };
  },
];

/** `count` rows of `prompt` (the question) and `answer` (the steps, then `#### n`, as GSM8K has them). The same seed gives the same rows. */
export function wordProblems(count: number, seed: Seed = 0): DatasetRow[] {
  return Array.from({ length: count }, (_, i) => {
    let drawn = 0;
    const draw: Draw = (low, high) => low + randomInt(high - low + 1, seed, i, drawn++);
    const pick = <T>(items: readonly T[]) => items[draw(0, items.length - 1)] as T;
    const { question, steps } = pick(KINDS)(pick(NAMES), pick(THINGS), draw);
    const lines = steps.map(([expression, value]) => `${expression}=${value}`);
    return { prompt: `${question}\n`, answer: `${lines.join("\n")}\n#### ${(steps.at(-1) as readonly [string, number])[1]}` };
  });
}
