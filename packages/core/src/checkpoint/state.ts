/** A run's state as one value, and as a directory that is also a Hugging Face model directory. */
import { elementCount } from "@trimtab/kernels";
import { CheckpointError } from "../errors";
import type { DecoderConfig } from "../models/config";
import { parameterSpecs } from "../models/decoder";
import type { NamedArrays, OptimizerState } from "./capture";
import { loadConfig, loadParameters } from "./decoder-weights";
import { fromExactJson, toExactJson } from "./exact-json";
import type { FileContents, ReadableDirectory, WritableDirectory } from "./files";
import { jsonBytes, requireJson } from "./json-file";
import { verifyManifest, withManifest } from "./manifest";
import { type ModelDescription, modelFiles } from "./model-files";
import { SafetensorsFile } from "./safetensors";
import { type WrittenTensor, writeSafetensors } from "./safetensors-writer";

const STATE_FILE = "trainer_state.json";
const OPTIMIZER_FILE = "optimizer.safetensors";
const FORMAT = 1;

/** Everything a trainer needs to go on as if it had never stopped. */
export interface TrainingState {
  /** The trainer that made it, e.g. "grpo"; another one refuses it. */
  readonly algorithm: string;
  /** Optimiser steps taken. */
  readonly step: number;
  readonly weights: NamedArrays;
  readonly optimizer: OptimizerState;
  /**
   * Where the run stands, as JSON: data position, counters, running metrics, and a rollout that is still being learned from. NaN,
   * infinities and negative zero survive.
   */
  readonly run: Readonly<Record<string, unknown>>;
}

/** Writes a state, and what makes it a model directory, all or nothing; what the directory held before is replaced. */
export async function saveState(state: TrainingState, model: ModelDescription, directory: WritableDirectory): Promise<void> {
  const { algorithm, step, weights, optimizer, run } = state;
  const json = { format: FORMAT, algorithm, step, optimizer_count: optimizer.count, run: toExactJson(run, "run") };
  const files: Map<string, FileContents> = modelFiles(model, (name) => required(weights, name));
  files.set(OPTIMIZER_FILE, writeSafetensors(momentTensors(model.config, optimizer), OPTIMIZER_FILE));
  files.set(STATE_FILE, jsonBytes(json));
  await directory.write(withManifest(files), { replace: true });
}

/**
 * Reads what {@link saveState} wrote; its configuration and tokenizer load like any model directory's. Throws CheckpointError naming the
 * file that is missing, truncated or damaged.
 */
export async function loadState(directory: ReadableDirectory): Promise<TrainingState> {
  await verifyManifest(directory);
  const { format, algorithm, step, optimizer_count: count, run } = await requireJson(directory, STATE_FILE);
  if (format !== FORMAT || typeof algorithm !== "string" || typeof step !== "number" || typeof count !== "number" || !isObject(run)) {
    throw new CheckpointError(
      `${STATE_FILE}: it must be a training state of format ${FORMAT}, got format ${String(format)}. Use the version of Trimtab that wrote it.`,
      { file: STATE_FILE },
    );
  }
  const parameters = await loadParameters(directory, await loadConfig(directory));
  const moments = await loadMoments(directory);
  const moment = (kind: string): NamedArrays =>
    new Map(parameters.map(({ name, shape }) => [name, momentOf(moments, `${kind}.${name}`, elementCount(shape))]));
  return {
    algorithm,
    step,
    weights: new Map(parameters.map(({ name, values }) => [name, values])),
    optimizer: { count, m: moment("exp_avg"), v: moment("exp_avg_sq") },
    run: fromExactJson(run) as TrainingState["run"],
  };
}

/** Moments under torch.optim's names, one per parameter of ours, so that the file does not depend on how a device packs them. */
function momentTensors(config: DecoderConfig, { m, v }: OptimizerState): WrittenTensor[] {
  const tensors = (kind: string, values: NamedArrays) =>
    parameterSpecs(config).map(
      ({ name, shape }): WrittenTensor => ({ name: `${kind}.${name}`, dtype: "F32", shape, data: () => required(values, name) }),
    );
  return [...tensors("exp_avg", m), ...tensors("exp_avg_sq", v)];
}

async function loadMoments(directory: ReadableDirectory): Promise<Map<string, Float32Array>> {
  const source = await directory.open(OPTIMIZER_FILE);
  if (!source) {
    throw new CheckpointError(`${OPTIMIZER_FILE}: the file must exist in ${directory.path}, got none. Resume from an earlier checkpoint.`, {
      file: OPTIMIZER_FILE,
    });
  }
  const file = await SafetensorsFile.open(source);
  try {
    const moments = new Map<string, Float32Array>();
    for (const name of file.tensors.keys()) moments.set(name, await file.readFloats(name));
    return moments;
  } finally {
    await file.close();
  }
}

function momentOf(moments: ReadonlyMap<string, Float32Array>, tensor: string, length: number): Float32Array {
  const values = moments.get(tensor);
  if (values?.length === length) return values;
  throw new CheckpointError(
    `${OPTIMIZER_FILE}: tensor "${tensor}" must hold ${length} values, got ${values?.length ?? "none"}. Resume from an earlier checkpoint.`,
    { file: OPTIMIZER_FILE, tensor },
  );
}

function required(values: NamedArrays, name: string): Float32Array {
  const found = values.get(name);
  if (found) return found;
  throw new CheckpointError(`saveState: the state must hold parameter "${name}", got none. Capture the whole model.`, { tensor: name });
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
