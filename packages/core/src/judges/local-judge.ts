/** A local model as judge, through the log-probabilities of its possible answers: nothing is generated. */
import { type CandidateProbabilities, candidatePrefix, candidateProbabilities, type LocalJudgeOptions } from "./candidate-probabilities";
import { type Judgements, type PairwiseJudge, type RatingJudge, sumStatistics } from "./judge";
import {
  type ComparisonPrompt,
  comparisonText,
  defaultComparisonPrompt,
  defaultRatingPrompt,
  type RatingPrompt,
  ratingText,
} from "./prompts";

export interface LocalPairwiseJudgeOptions extends LocalJudgeOptions {
  /** Default "local_judge". */
  readonly name?: string | undefined;
  /** Default {@link defaultComparisonPrompt}. */
  readonly prompt?: ComparisonPrompt | undefined;
  /** The answers that mean a and b. Default A and B, after a space where the tokenizer has no chat template. */
  readonly candidates?: readonly [a: string, b: string] | undefined;
}

/** P(a is better) = p(first candidate) / (p(first candidate) + p(second)). */
export function localPairwiseJudge(options: LocalPairwiseJudgeOptions): PairwiseJudge {
  const { name = "local_judge", prompt = defaultComparisonPrompt } = options;
  const space = candidatePrefix(options.model.tokenizer);
  const candidates = options.candidates ?? [`${space}A`, `${space}B`];
  return {
    name,
    async compare(pairs, call) {
      const questions = pairs.map((pair) => prompt(comparisonText(pair)));
      return judgements(await candidateProbabilities(options, questions, candidates, call), ([a]) => a as number);
    },
  };
}

export interface LocalRatingJudgeOptions extends LocalJudgeOptions {
  /** Default "local_judge". */
  readonly name?: string | undefined;
  /** Default {@link defaultRatingPrompt} over the scores' range. */
  readonly prompt?: RatingPrompt | undefined;
  /** Answers and the scores that they mean. Default 1 to 5, after a space where the tokenizer has no chat template. */
  readonly scores?: Readonly<Record<string, number>> | undefined;
}

/** The expected score Σ p_k · score_k over the answers, as G-Eval (Liu et al. 2023, equation 1). */
export function localRatingJudge(options: LocalRatingJudgeOptions): RatingJudge {
  const space = candidatePrefix(options.model.tokenizer);
  const { name = "local_judge", scores = Object.fromEntries([1, 2, 3, 4, 5].map((score) => [`${space}${score}`, score])) } = options;
  const values = Object.values(scores);
  const prompt = options.prompt ?? defaultRatingPrompt(Math.min(...values), Math.max(...values));
  return {
    name,
    async rate(items, call) {
      const questions = items.map((item) => prompt(ratingText(item)));
      const answers = await candidateProbabilities(options, questions, Object.keys(scores), call);
      return judgements(answers, (probabilities) => probabilities.reduce((sum, p, k) => sum + p * (values[k] as number), 0));
    },
  };
}

function judgements(
  { probabilities, tokens }: CandidateProbabilities,
  value: (probabilities: readonly number[]) => number,
): Judgements<number> {
  return { values: probabilities.map(value), statistics: sumStatistics({ calls: probabilities.length, promptTokens: tokens }) };
}
