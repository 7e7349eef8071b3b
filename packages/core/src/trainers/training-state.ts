/** A run between two steps as a training state, and back. */
import { captureOptimizer, captureParameters, requireLayout, restoreOptimizer, restoreParameters } from "../checkpoint/capture";
import type { SavedParameters, TrainingState } from "../checkpoint/state";
import { CheckpointError } from "../errors";
import type { ParameterSet } from "../nn/parameters";
import type { AdamW } from "../optim/adamw";

/** Parameters that a run changes, with their optimiser where they have one (a moving reference or target network has none). */
export interface TrainedParameters {
  readonly parameters: ParameterSet;
  readonly optimizer?: AdamW | undefined;
}

/** All that a run changes: the model being trained, and others by name ("value", "reference", "target"). */
export interface TrainedModels {
  readonly model: TrainedParameters;
  readonly others?: Readonly<Record<string, TrainedParameters>> | undefined;
}

/** Reads weights and optimisers from the device. `run` is the trainer's own JSON. */
export async function captureRun(
  algorithm: string,
  step: number,
  { model, others = {} }: TrainedModels,
  run: Readonly<Record<string, unknown>>,
): Promise<TrainingState> {
  const saved = new Map<string, SavedParameters>();
  for (const [name, trained] of Object.entries(others)) saved.set(name, await capture(trained));
  return { algorithm, step, ...(await capture(model)), others: saved, run };
}

/**
 * Writes weights and optimisers to the device and returns `run`. Throws CheckpointError, before anything is written, where the state
 * is of another trainer or model.
 */
export function restoreRun(state: TrainingState, algorithm: string, { model, others = {} }: TrainedModels): TrainingState["run"] {
  if (state.algorithm !== algorithm) {
    throw new CheckpointError(
      `resume: the state must be of a run of ${algorithm}, got one of ${state.algorithm}. Resume it with its own trainer.`,
    );
  }
  const names = Object.keys(others);
  const held = [...state.others.keys()];
  if (names.length !== held.length || names.some((name) => !state.others.has(name))) {
    throw new CheckpointError(
      `resume: the state must hold ${names.join(", ") || "the trained model alone"} besides the model, got ${held.join(", ") || "nothing"}. Resume with the options that the run was started with.`,
    );
  }
  const pairs: [TrainedParameters, SavedParameters][] = [[model, state]];
  for (const name of names) pairs.push([others[name] as TrainedParameters, state.others.get(name) as SavedParameters]);
  for (const [trained, saved] of pairs) requireFit(trained, saved);
  for (const [{ parameters, optimizer }, saved] of pairs) {
    restoreParameters(parameters, saved.weights);
    if (optimizer && saved.optimizer) restoreOptimizer(optimizer, saved.optimizer);
  }
  return state.run;
}

/** A step's state can only be read while the run stands at that step. */
export function requireCurrent(step: number, runStep: number): void {
  if (step === runStep) return;
  throw new CheckpointError(
    `state: it must be read before the next step is asked for, got step ${step} of a run that has moved on. Read it in the loop.`,
  );
}

async function capture({ parameters, optimizer }: TrainedParameters): Promise<SavedParameters> {
  return { weights: await captureParameters(parameters), optimizer: optimizer && (await captureOptimizer(optimizer)) };
}

function requireFit({ parameters, optimizer }: TrainedParameters, saved: SavedParameters): void {
  requireLayout(parameters, saved.weights);
  if ((optimizer === undefined) !== (saved.optimizer === undefined)) {
    throw new CheckpointError(
      `resume: the state must ${optimizer ? "hold" : "not hold"} an optimiser for these parameters, got the opposite. Resume with the options that the run was started with.`,
    );
  }
  if (saved.optimizer) for (const moments of [saved.optimizer.m, saved.optimizer.v]) requireLayout(parameters, moments);
}
