/** What samples the completions of a generation batch for a trainer: plain generation, recorded completions, or an environment. */
import type { Turns } from "../data/formats";
import type { EncodedPrompt } from "../data/tokenize";
import type { Completion, GenerateOptions, GenerationModel } from "../generate/options";
import type { Tokenizer } from "../tokenizer/tokenizer";
import type { SignalLike } from "./abort";
import type { Reward, TrainerState } from "./rewards";
import type { RolloutEnd } from "./rollout";

/** What a trainer asks for: generation's own options, and what an environment must know besides. */
export interface RolloutRequest extends GenerateOptions {
  readonly model: GenerationModel & { readonly tokenizer: Tokenizer };
  /** The tokens of `rows`. */
  readonly prompts: readonly Uint32Array[];
  /** The prompts as the dataset has them, with their other columns. */
  readonly rows: readonly EncodedPrompt[];
  /** Completions per prompt. */
  readonly n: number;
  /** Most tokens of one completion, an environment's included. */
  readonly maxNewTokens: number;
  readonly streams: Uint32Array;
  readonly trainerState: TrainerState;
  /** What a failing environment does, as for rewards. */
  readonly onRewardError: "throw" | "skip";
  readonly signal?: SignalLike | undefined;
  /** Adds a number to the round's metrics. */
  readonly logMetric: (name: string, value: number) => void;
}

/** A completion for a trainer. Only its tokens, log-probabilities and end are needed; the rest comes from environments. */
export interface RolloutCompletion extends Omit<Completion, "finishReason"> {
  readonly finishReason: RolloutEnd;
  /** 1 = the policy chose the token, 0 = an environment or a tool did. Default: the policy chose all of them. (T) */
  readonly mask?: Uint8Array | undefined;
  /** Prompt and completion as reward functions see them. Default: the row's prompt, and `text` as the assistant's turn. */
  readonly turns?: { readonly prompt: Turns; readonly completion: Turns } | undefined;
  /** What the environment itself rewarded, for `environmentReward`; null where it gave nothing. */
  readonly reward?: Reward | null | undefined;
  /** Columns for the table of completions. */
  readonly extras?: Readonly<Record<string, unknown>> | undefined;
}

/** Completes every prompt `n` times and returns the completions in the order of the prompts, a prompt's samples together. */
export type RolloutFunction = (request: RolloutRequest) => Promise<readonly RolloutCompletion[]>;
