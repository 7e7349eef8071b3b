/** Trained reward models as reward functions: of whole completions, and of their steps. */
import { hostMath } from "@trimtab/kernels";
import type { Turns } from "../data/formats";
import { RowEncoder } from "../data/row-encoder";
import { concatTokens } from "../data/truncation";
import { RewardError } from "../errors";
import type { ScalarModel } from "../models/scalar-model";
import { completionText } from "../rewards/completion-text";
import { namedReward } from "../rewards/named-reward";
import type { RewardNormalization } from "../rl/reward-normalization";
import type { RewardDetail, RewardFunction, StepReward } from "../rl/rewards";
import type { Tokenizer } from "../tokenizer/tokenizer";
import { scoreSequences } from "./score-sequences";

export interface RewardModelFunctionOptions {
  /** The name that metrics go by. Default "reward_model". */
  readonly name?: string | undefined;
  /** Applied to every score: `fitNormalization`. Default: none. */
  readonly normalization?: RewardNormalization | undefined;
  /** Most tokens computed at once. Default 4096. */
  readonly maxTokens?: number | undefined;
}

/**
 * A reward function that scores prompt and completion with `model`. Both are texts, which the model's own tokenizer encodes as in training
 * (a text completion ends with EOS); of a pair longer than the model's context the end is scored.
 */
export function rewardModelFunction(model: ScalarModel, options: RewardModelFunctionOptions = {}): RewardFunction {
  const { name = "reward_model", normalization = { gain: 1, bias: 0 }, maxTokens } = options;
  const { maxPositions } = model.decoder.config;
  return onDevice(name, async ({ prompts, completions, tools }) => {
    const encoder = new RowEncoder(model.tokenizer);
    const sequences = completions.map((completion, b) => {
      const row = { line: b + 1, tools: Array.isArray(tools) ? tools[b] : undefined };
      const encoded = encoder.completions(prompts[b] as Turns, [completion], row);
      return { tokens: concatTokens(encoded.prompt, encoded.completions[0] as Uint32Array).slice(-maxPositions) };
    });
    const scores = await scoreSequences(model, sequences, maxTokens);
    return Array.from(scores, (score) => normalization.gain * score + normalization.bias);
  });
}

export interface ProcessRewardFunctionOptions extends Omit<RewardModelFunctionOptions, "normalization"> {
  /** The policy's tokenizer, whose tokens the completions are made of. Default: the model's own. */
  readonly policyTokenizer?: Tokenizer | undefined;
  /** Text between steps, as in the model's training. Default "\n". */
  readonly stepSeparator?: string | undefined;
  /** "probability" (default): σ(score), the chance that a step is right, for models trained on labels. "score": as it is. */
  readonly stepValue?: "probability" | "score" | undefined;
  /** What the whole completion is worth. Default "min": as good as its worst step. */
  readonly total?: "min" | "mean" | "product" | "last" | undefined;
}

const totals = {
  min: (values: readonly number[]) => Math.min(...values),
  mean: (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length,
  product: (values: readonly number[]) => values.reduce((product, value) => product * value, 1),
  last: (values: readonly number[]) => values.at(-1) as number,
} as const;

/**
 * A reward function that judges every step of a completion with a process reward model: `steps` for algorithms that credit them, and a
 * `total` for the others. Prompts must be text. A completion without text gets null.
 */
export function processRewardFunction(model: ScalarModel, options: ProcessRewardFunctionOptions = {}): RewardFunction {
  const { name = "process_reward_model", stepSeparator = "\n", stepValue = "probability", total = "min", maxTokens } = options;
  const policyTokenizer = options.policyTokenizer ?? model.tokenizer;
  const { maxPositions } = model.decoder.config;
  const separator = model.tokenizer.encode(stepSeparator, { addSpecialTokens: false });
  const valueAt = (score: number) => (stepValue === "score" ? score : 1 / (1 + hostMath.exp(-score)));
  return onDevice(name, async ({ prompts, completions, completionIds }) => {
    const judged = completions.map((completion, b) => {
      let tokens: Uint32Array = model.tokenizer.encode(completionText(prompts[b] as Turns));
      const ends: number[] = [];
      for (const step of completionText(completion).split(stepSeparator)) {
        if (step === "") continue;
        tokens = concatTokens(concatTokens(tokens, model.tokenizer.encode(step, { addSpecialTokens: false })), separator);
        ends.push(tokens.length - 1);
      }
      const cut = Math.max(0, tokens.length - maxPositions);
      if ((ends[0] ?? cut) >= cut) return { tokens: tokens.subarray(cut), ends: ends.map((end) => end - cut) };
      throw new RewardError(
        `${name}: every step must end within the last ${maxPositions} tokens, the model's context, got a completion of ${tokens.length} with its prompt. Lower maxCompletionLength.`,
      );
    });
    const scores = await scoreSequences(model, judged, maxTokens);
    let at = 0;
    return judged.map(({ ends }, b): RewardDetail | null => {
      const values = ends.map((_, k) => valueAt(scores[at + k] as number));
      at += ends.length;
      if (values.length === 0) return null;
      const places = stepEnds(completionIds[b] as Uint32Array, policyTokenizer, stepSeparator);
      return { total: totals[total](values), steps: values.map((value, k): StepReward => ({ end: places[k] as number, value })) };
    });
  });
}

const deviceRewards = new WeakSet<RewardFunction>();

/** Whether a reward computes on the device, and so takes memory there. */
export const isOnDevice = (reward: RewardFunction): boolean => deviceRewards.has(reward);

function onDevice(name: string, reward: RewardFunction): RewardFunction {
  const named = namedReward(name, reward);
  deviceRewards.add(named);
  return named;
}

/** For each step of a completion that is not empty, the token with which its separator (or the completion) is complete. */
export function stepEnds(ids: Uint32Array, tokenizer: Tokenizer, separator: string): number[] {
  const stream = tokenizer.decodeStream({ skipSpecialTokens: true });
  const ends: number[] = [];
  let open = "";
  ids.forEach((id, t) => {
    open += stream.push(id);
    for (let cut = open.indexOf(separator); cut >= 0; cut = open.indexOf(separator)) {
      if (cut > 0) ends.push(t);
      open = open.slice(cut + separator.length);
    }
  });
  if (open + stream.flush() !== "") ends.push(ids.length - 1);
  return ends;
}
