/** A run between two steps as a training state, and back. */
import { captureOptimizer, captureParameters, requireLayout, restoreOptimizer, restoreParameters } from "../checkpoint/capture";
import type { TrainingState } from "../checkpoint/state";
import { CheckpointError } from "../errors";
import type { ParameterSet } from "../nn/parameters";
import type { AdamW } from "../optim/adamw";

/** Reads weights and optimiser from the device. `run` is the trainer's own JSON. */
export async function captureRun(
  algorithm: string,
  step: number,
  parameters: ParameterSet,
  optimizer: AdamW,
  run: Readonly<Record<string, unknown>>,
): Promise<TrainingState> {
  return { algorithm, step, weights: await captureParameters(parameters), optimizer: await captureOptimizer(optimizer), run };
}

/**
 * Writes weights and optimiser to the device and returns `run`. Throws CheckpointError, before anything is written, where the state
 * is of another trainer or model.
 */
export function restoreRun(
  state: TrainingState,
  algorithm: string,
  parameters: ParameterSet,
  optimizer: AdamW,
): Readonly<Record<string, unknown>> {
  if (state.algorithm !== algorithm) {
    throw new CheckpointError(
      `resume: the state must be of a run of ${algorithm}, got one of ${state.algorithm}. Resume it with its own trainer.`,
    );
  }
  for (const moments of [state.optimizer.m, state.optimizer.v]) requireLayout(parameters, moments);
  restoreParameters(parameters, state.weights);
  restoreOptimizer(optimizer, state.optimizer);
  return state.run;
}

/** A step's state can only be read while the run stands at that step. */
export function requireCurrent(step: number, runStep: number): void {
  if (step === runStep) return;
  throw new CheckpointError(
    `state: it must be read before the next step is asked for, got step ${step} of a run that has moved on. Read it in the loop.`,
  );
}
