/** Where an on-policy run stands: rounds of prompts in the data order, and the optimiser steps taken on the current round. */
import { shuffle } from "@trimtab/kernels";
import { DataOrder } from "../data/order";
import type { EncodedPrompt } from "../data/tokenize";
import type { TrainerState } from "../rl/rewards";
import { type Experience, experienceFromJSON, experienceToJSON } from "../rl/scored-rollout";
import type { RolloutSettings } from "./rollout-options";

/** Prompts of the data order, the first of which is at `position`. */
export interface DrawnPrompts {
  readonly prompts: readonly EncodedPrompt[];
  readonly position: number;
}

/**
 * Rolls out `prompts`, the first of which is at `position` of the data order, and prepares what is learned from. `draw` takes further
 * prompts into the round.
 */
export type Prepare = (
  prompts: readonly EncodedPrompt[],
  position: number,
  trainerState: TrainerState,
  draw: (count: number) => DrawnPrompts,
) => Promise<Experience>;

/** One optimiser step's share of a round. */
export interface RoundStep {
  readonly experience: Experience;
  /** Rows of the rollout to learn from in this step. */
  readonly rows: readonly number[];
  /** Tokens sampled for this step: those of the round at its first step, else 0. */
  readonly tokens: number;
  /** After this step. */
  readonly epoch: number;
  /** The step is the last of its round. */
  readonly isLast: boolean;
}

/** Streams of the row shuffles, apart from the dataset's. */
const ROW_STREAM = 0x80000000;

export class Rounds {
  readonly #settings: RolloutSettings;
  readonly #prepare: Prepare;
  readonly #order: DataOrder;
  /** Prompts taken from the data order. */
  #position = 0;
  /** How many of them are of the current round. */
  #drawn = 0;
  /** Steps taken on `#experience`. */
  #taken = 0;
  #experience: Experience | undefined;

  constructor(settings: RolloutSettings, prepare: Prepare) {
    this.#settings = settings;
    this.#prepare = prepare;
    this.#order = new DataOrder(settings.prompts.length, settings.seed, settings.shuffleDataset);
  }

  /** What optimiser step `step` (from 0) learns from; begins a new round where the last one is used up. */
  async next(step: number): Promise<RoundStep> {
    const { prompts, promptsPerGeneration, stepsPerRollout, rowsPerStep, stepsPerPass, totalSteps } = this.#settings;
    let tokens = 0;
    if (!this.#experience || this.#taken === stepsPerRollout) {
      const progress = { globalStep: step, maxSteps: totalSteps, epoch: this.#position / prompts.length };
      this.#experience = undefined;
      this.#drawn = 0;
      this.#taken = 0;
      const { prompts: asked, position } = this.#draw(promptsPerGeneration);
      this.#experience = await this.#prepare(asked, position, progress, (count) => this.#draw(count));
      tokens = this.#experience.sampledTokens ?? this.#experience.rollout.tokens.length;
    }
    const first = (this.#taken % stepsPerPass) * rowsPerStep;
    const rows = this.#rowOrder(this.#experience.rollout.ends.length).slice(first, first + rowsPerStep);
    this.#taken += 1;
    const consumed = this.#position - this.#drawn * (1 - this.#taken / stepsPerRollout);
    return { experience: this.#experience, rows, tokens, epoch: consumed / prompts.length, isLast: this.#taken === stepsPerRollout };
  }

  /** Leaves the rest of the current round unused: a trainer that has moved far enough. */
  endRound(): void {
    this.#experience = undefined;
  }

  capture(): Record<string, unknown> {
    const isUsedUp = this.#taken === this.#settings.stepsPerRollout;
    const experience = this.#experience && !isUsedUp ? experienceToJSON(this.#experience) : null;
    return { position: this.#position, drawn: this.#drawn, taken: this.#taken, experience };
  }

  restore(json: Readonly<Record<string, unknown>>): void {
    this.#position = json.position as number;
    this.#drawn = json.drawn as number;
    this.#taken = json.taken as number;
    this.#experience = json.experience ? experienceFromJSON(json.experience as Record<string, unknown>) : undefined;
  }

  #draw(count: number): DrawnPrompts {
    const position = this.#position;
    this.#position += count;
    this.#drawn += count;
    return { position, prompts: this.#order.slice(position, count).map((i) => this.#settings.prompts[i] as EncodedPrompt) };
  }

  /** The order in which a round's rows are trained on: shuffled where a pass over them is several steps, so that steps mix groups. */
  #rowOrder(count: number): number[] {
    const { seed, stepsPerPass } = this.#settings;
    if (stepsPerPass === 1) return Array.from({ length: count }, (_, row) => row);
    return Array.from(shuffle(count, seed, ROW_STREAM + this.#position));
  }
}
