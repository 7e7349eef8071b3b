/** Any OpenAI-compatible endpoint as judge: by the log-probabilities of its answer where it gives them, else by what it wrote. */
import { hostMath } from "@trimtab/kernels";
import { type ChatAnswer, chatCompletions, type EndpointOptions } from "./chat-completions";
import { type Judgements, type JudgeStatistics, type PairwiseJudge, type RatingJudge, sumStatistics } from "./judge";
import {
  type ComparisonPrompt,
  comparisonText,
  defaultComparisonPrompt,
  defaultRatingPrompt,
  type RatingPrompt,
  ratingText,
  readRating,
  readVerdict,
} from "./prompts";

export interface EndpointPairwiseJudgeOptions extends EndpointOptions {
  /** Default "endpoint_judge". */
  readonly name?: string | undefined;
  /** Must ask for A or B, or for `[[A]]`, `[[B]]`, `[[C]]`. Default {@link defaultComparisonPrompt}. */
  readonly prompt?: ComparisonPrompt | undefined;
}

/** P(a is better) = p(A) / (p(A) + p(B)) at the last token that is one of them; without log-probabilities 1, 0 or, for a tie, 1/2. */
export function endpointPairwiseJudge(options: EndpointPairwiseJudgeOptions): PairwiseJudge {
  const { name = "endpoint_judge", prompt = defaultComparisonPrompt } = options;
  const ask = chatCompletions(options);
  return {
    name,
    async compare(pairs, call = {}) {
      const { answers, statistics } = await ask(
        pairs.map((pair) => prompt(comparisonText(pair))),
        call.signal,
      );
      return judgements(answers, statistics, (answer) => expected(answer, { A: 1, B: 0 }) ?? readVerdict(answer.content));
    },
  };
}

export interface EndpointRatingJudgeOptions extends EndpointOptions {
  /** Default "endpoint_judge". */
  readonly name?: string | undefined;
  /** Default {@link defaultRatingPrompt}. */
  readonly prompt?: RatingPrompt | undefined;
  /** The scale, whole numbers. Default 1 to 10. */
  readonly lowest?: number | undefined;
  readonly highest?: number | undefined;
}

/** The expected rating at the last token that is one; without log-probabilities the rating that is written. */
export function endpointRatingJudge(options: EndpointRatingJudgeOptions): RatingJudge {
  const { name = "endpoint_judge", lowest = 1, highest = 10 } = options;
  const prompt = options.prompt ?? defaultRatingPrompt(lowest, highest);
  const scores = Object.fromEntries(Array.from({ length: highest - lowest + 1 }, (_, i) => [String(lowest + i), lowest + i]));
  const ask = chatCompletions(options);
  return {
    name,
    async rate(items, call = {}) {
      const { answers, statistics } = await ask(
        items.map((item) => prompt(ratingText(item))),
        call.signal,
      );
      return judgements(answers, statistics, (answer) => expected(answer, scores) ?? readRating(answer.content, lowest, highest));
    },
  };
}

/** Σ p_k · value_k over the labels among the likeliest tokens where the last label was written; null without log-probabilities. */
function expected({ topLogprobs }: ChatAnswer, values: Readonly<Record<string, number>>): number | null {
  const labelled = topLogprobs.findLast((top) => Object.hasOwn(values, likeliest(top)));
  if (labelled === undefined) return null;
  let [total, sum] = [0, 0];
  for (const { token, logprob } of labelled) {
    const value = Object.hasOwn(values, token.trim()) ? values[token.trim()] : undefined;
    if (value === undefined) continue;
    const p = hostMath.exp(logprob);
    total += p;
    sum += p * value;
  }
  return total > 0 ? sum / total : null;
}

function likeliest(top: ChatAnswer["topLogprobs"][number]): string {
  return top
    .reduce((best, next) => (next.logprob > best.logprob ? next : best), { token: "", logprob: Number.NEGATIVE_INFINITY })
    .token.trim();
}

function judgements(
  answers: readonly ChatAnswer[],
  statistics: JudgeStatistics,
  read: (answer: ChatAnswer) => number | null,
): Judgements<number> {
  const values = answers.map(read);
  return { values, statistics: sumStatistics(statistics, { unanswered: values.filter((value) => value === null).length }) };
}
