/** What an environment is: a text world that a policy acts in turn by turn. The only thing a user writes to train in one. */
import type { Turns } from "../data/formats";
import type { DatasetRow } from "../data/jsonl";
import type { Signal } from "../rl/abort";
import type { TrainerState } from "../rl/rewards";

/** What one action led to. */
export interface EnvironmentStep {
  /** What the policy sees before its next action: text, or messages where the prompts are conversations. Not shown where `done`. */
  readonly observation?: Turns | null | undefined;
  /** What this action earned; undefined or null for nothing said. */
  readonly reward?: number | null | undefined;
  /** The episode is over. */
  readonly done: boolean;
}

/** What a step is told besides the action's text. */
export interface StepContext {
  /** The action's tokens, EOS included. */
  readonly tokens: Uint32Array;
  /** The token limit cut the action short; whatever the step says, the episode ends with it. */
  readonly isCut: boolean;
  /** Aborts when the result is no longer wanted: pass it to `fetch`. */
  readonly signal: Signal;
}

/** What an episode tells when it has ended. */
export interface EpisodeReport {
  /** Added to the metrics under these names: a number counts as one observation of a mean, a ratio is pooled over all episodes. */
  readonly metrics?: Readonly<Record<string, number | { readonly sum: number; readonly count: number }>> | undefined;
  /** Columns for the table of completions. */
  readonly extras?: Readonly<Record<string, unknown>> | undefined;
}

/** One episode. Every method may be asynchronous; they are called one after another: reset, step ..., reward, report, close. */
export interface Environment {
  /** The first observation, which goes to the end of the prompt; null or undefined where the prompt says it all. */
  reset(row: DatasetRow): Turns | null | undefined | Promise<Turns | null | undefined>;
  /** Plays one action: what the policy wrote, without special tokens and without a stop string. */
  step(action: string, context: StepContext): EnvironmentStep | Promise<EnvironmentStep>;
  /** Asked once at the end, where the whole is judged; added to the last action's reward. null for nothing said. */
  reward?(): number | null | Promise<number | null>;
  report?(): EpisodeReport | Promise<EpisodeReport>;
  /** Always called once, also after an error. */
  close?(): void | Promise<void>;
}

/** What a factory is told besides the row and the seed. */
export interface EpisodeContext {
  /** Which of the prompt's samples this is, for noise of an episode's own. */
  readonly sampleIndex: number;
  readonly trainerState: TrainerState;
}

/**
 * Makes the environment of one episode. `row` is the dataset's row, `prompt` included. All samples that a round makes of a prompt get the
 * same `seed` (a whole number below 2^53), so that groups compare answers to one task; other prompts, rounds and run seeds get others.
 */
export type EnvironmentFactory = (row: DatasetRow, seed: number, context: EpisodeContext) => Environment | Promise<Environment>;
