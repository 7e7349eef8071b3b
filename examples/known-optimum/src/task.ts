/**
 * The task: a contextual bandit whose rewards can all be written down.
 *
 * A prompt is a mood (A to D) and a distractor (0 to 3) that means nothing; an action is a token, of which the letters a to h pay what the mood
 * says and all others nothing. A completion of several tokens is paid the mean of what they pay.
 */
import { type DatasetRow, type RewardFunction, Tokenizer } from "@trimtab/node";

const MOODS = "ABCD";
const DISTRACTORS = "0123";
export const ARMS = "abcdefgh";

/** What the letters pay, from the best to the worst: in tenths, no two alike. */
const PAY = [1, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0];

const TOKENS = ["<end>", "<unk>", ...ARMS, ...MOODS, ...DISTRACTORS, "."];
const idOf = Object.fromEntries(TOKENS.map((token, id) => [token, id]));
const special = (content: string) => ({ id: idOf[content] as number, content, special: true, normalized: false });

/** One token a character. */
export const tokenizer = Tokenizer.fromJSON(
  {
    added_tokens: [special("<end>"), special("<unk>")],
    decoder: { type: "Fuse" },
    model: { type: "BPE", vocab: idOf, merges: [], unk_token: "<unk>" },
  },
  { eos_token: "<end>" },
);

/** A prompt of the bandit; `mood` goes to the reward function. */
export interface Context extends DatasetRow {
  readonly prompt: string;
  readonly mood: number;
}

const contexts: readonly Context[] = [...MOODS].flatMap((letter, mood) => [...DISTRACTORS].map((d) => ({ prompt: letter + d, mood })));

/** One context of each mood is held out: its two letters never occur together in training. */
const isHeldOut = ({ prompt, mood }: Context) => prompt.endsWith(DISTRACTORS[mood] as string);
export const trainingContexts = contexts.filter((context) => !isHeldOut(context));
export const heldOutContexts = contexts.filter(isHeldOut);

/** Whether a token is one of the letters. */
export const isLetter = (token: number): boolean => ARMS.includes(TOKENS[token] as string);

/** What a token pays. */
export function payOf(mood: number, token: number): number {
  if (!isLetter(token)) return 0;
  const arm = ARMS.indexOf(TOKENS[token] as string);
  return PAY[(arm + 2 * mood) % ARMS.length] as number;
}

/** The letters of a mood, from the best to the worst. */
export function ranking(mood: number): string[] {
  return [...ARMS].sort((a, b) => payOf(mood, idOf[b] as number) - payOf(mood, idOf[a] as number));
}

/** What the letter pays. */
export const payOfLetter = (mood: number, letter: string): number => payOf(mood, idOf[letter] as number);

/** The reward function for completions of `length` tokens. */
export function payment(length: number): RewardFunction {
  return function pay({ completionIds, mood }) {
    return completionIds.map((ids, i) => {
      const tokens = Array.from(ids, (token) => payOf((mood as number[])[i] as number, token) / length);
      return { total: tokens.reduce((sum, value) => sum + value, 0), tokens };
    });
  };
}
