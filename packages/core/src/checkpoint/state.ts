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
import { adaptedModelFiles, type ModelDescription, modelFiles } from "./model-files";
import { SafetensorsFile } from "./safetensors";
import { type WrittenTensor, writeSafetensors } from "./safetensors-writer";

const STATE_FILE = "trainer_state.json";
const OPTIMIZER_FILE = "optimizer.safetensors";
const OTHERS_FILE = "others.safetensors";
/** The adapter among the others: its base is not here, and with it the shapes of what is trained. */
const TRAINED = "model";
const FORMAT = 1;

type DescribedOthers = Readonly<Record<string, { readonly optimizer_count: number | null }>>;

/** Values of some parameters, and of their optimiser where they have one. */
export interface SavedParameters {
  readonly weights: NamedArrays;
  readonly optimizer: OptimizerState | undefined;
}

/** Everything a trainer needs to go on as if it had never stopped. */
export interface TrainingState extends SavedParameters {
  /** The trainer that made it, e.g. "grpo"; another one refuses it. */
  readonly algorithm: string;
  /** Optimiser steps taken. */
  readonly step: number;
  /** What the run changes besides the model, by name: a value model, a moving reference. */
  readonly others: ReadonlyMap<string, SavedParameters>;
  /**
   * Where the run stands, as JSON: data position, counters, running metrics, and a rollout that is still being learned from. NaN,
   * infinities and negative zero survive.
   */
  readonly run: Readonly<Record<string, unknown>>;
}

/**
 * Writes a state, and what makes it a model directory (or an adapter's, which holds nothing of the base), all or nothing; what the directory held
 * before is replaced.
 */
export async function saveState(state: TrainingState, model: ModelDescription, directory: WritableDirectory): Promise<void> {
  const { algorithm, step, weights, optimizer, others, run } = state;
  const json = {
    format: FORMAT,
    algorithm,
    step,
    optimizer_count: optimizer?.count ?? null,
    others: Object.fromEntries([...others].map(([name, saved]) => [name, { optimizer_count: saved.optimizer?.count ?? null }])),
    run: toExactJson(run, "run"),
    ...(model.adapter ? { adapter: true } : {}),
  };
  const { adapter } = model;
  const read = (name: string) => required(weights, name);
  const files: Map<string, FileContents> = adapter ? adaptedModelFiles(model, adapter, read) : modelFiles(model, read);
  if (optimizer && !adapter) files.set(OPTIMIZER_FILE, writeSafetensors(momentTensors(model.config, optimizer), OPTIMIZER_FILE));
  const flat = new Map<string, SavedParameters>([...(adapter ? [[TRAINED, { weights, optimizer }] as const] : []), ...others]);
  if (flat.size > 0) files.set(OTHERS_FILE, writeSafetensors(otherTensors(flat), OTHERS_FILE));
  files.set(STATE_FILE, jsonBytes(json));
  await directory.write(withManifest(files), { replace: true });
}

/**
 * Reads what {@link saveState} wrote; its configuration and tokenizer load like any model directory's. Throws CheckpointError naming the
 * file that is missing, truncated or damaged.
 */
export async function loadState(directory: ReadableDirectory): Promise<TrainingState> {
  await verifyManifest(directory);
  const { format, algorithm, step, optimizer_count: count, others = {}, adapter = false, run } = await requireJson(directory, STATE_FILE);
  const isWhole = typeof algorithm === "string" && typeof step === "number" && isCount(count) && isObject(others) && isObject(run);
  if (format !== FORMAT || !isWhole) {
    throw new CheckpointError(
      `${STATE_FILE}: it must be a training state of format ${FORMAT}, got format ${String(format)}. Use the version of Trimtab that wrote it.`,
      { file: STATE_FILE },
    );
  }
  if (adapter === true) {
    const saved = await loadOthers(directory, { ...(others as DescribedOthers), [TRAINED]: { optimizer_count: count } });
    const trained = saved.get(TRAINED) as SavedParameters;
    saved.delete(TRAINED);
    return { algorithm, step, ...trained, others: saved, run: fromExactJson(run) as TrainingState["run"] };
  }
  const parameters = await loadParameters(directory, await loadConfig(directory));
  return {
    algorithm,
    step,
    weights: new Map(parameters.map(({ name, values }) => [name, values])),
    optimizer: count === null ? undefined : optimizerOf(count, await loadTensors(directory, OPTIMIZER_FILE), parameters),
    others: await loadOthers(directory, others as DescribedOthers),
    run: fromExactJson(run) as TrainingState["run"],
  };
}

function optimizerOf(
  count: number,
  moments: ReadonlyMap<string, Float32Array>,
  parameters: readonly { readonly name: string; readonly shape: readonly number[] }[],
): OptimizerState {
  const moment = (kind: string): NamedArrays =>
    new Map(parameters.map(({ name, shape }) => [name, momentOf(moments, `${kind}.${name}`, elementCount(shape))]));
  return { count, m: moment("exp_avg"), v: moment("exp_avg_sq") };
}

/** Other parameters as flat tensors called `<name>/<kind>.<parameter>`; the run that resumes knows their shapes. */
function otherTensors(others: TrainingState["others"]): WrittenTensor[] {
  const flat = (prefix: string, arrays: NamedArrays) =>
    [...arrays].map(
      ([name, values]): WrittenTensor => ({ name: `${prefix}.${name}`, dtype: "F32", shape: [values.length], data: () => values }),
    );
  return [...others].flatMap(([name, { weights, optimizer }]) => [
    ...flat(`${name}/weight`, weights),
    ...(optimizer ? [...flat(`${name}/exp_avg`, optimizer.m), ...flat(`${name}/exp_avg_sq`, optimizer.v)] : []),
  ]);
}

async function loadOthers(directory: ReadableDirectory, described: DescribedOthers): Promise<Map<string, SavedParameters>> {
  const names = Object.keys(described);
  if (names.length === 0) return new Map();
  const tensors = await loadTensors(directory, OTHERS_FILE);
  const under = (prefix: string): NamedArrays =>
    new Map([...tensors].flatMap(([name, values]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), values]] : [])));
  return new Map(
    names.map((name) => {
      const count = described[name]?.optimizer_count ?? null;
      const optimizer = count === null ? undefined : { count, m: under(`${name}/exp_avg.`), v: under(`${name}/exp_avg_sq.`) };
      return [name, { weights: under(`${name}/weight.`), optimizer }];
    }),
  );
}

/** Moments under torch.optim's names, one per parameter of ours, so that the file does not depend on how a device packs them. */
function momentTensors(config: DecoderConfig, { m, v }: OptimizerState): WrittenTensor[] {
  const tensors = (kind: string, values: NamedArrays) =>
    parameterSpecs(config).map(
      ({ name, shape }): WrittenTensor => ({ name: `${kind}.${name}`, dtype: "F32", shape, data: () => required(values, name) }),
    );
  return [...tensors("exp_avg", m), ...tensors("exp_avg_sq", v)];
}

async function loadTensors(directory: ReadableDirectory, name: string): Promise<Map<string, Float32Array>> {
  const source = await directory.open(name);
  if (!source) {
    throw new CheckpointError(`${name}: the file must exist in ${directory.path}, got none. Resume from an earlier checkpoint.`, {
      file: name,
    });
  }
  const file = await SafetensorsFile.open(source);
  try {
    const tensors = new Map<string, Float32Array>();
    for (const tensor of file.tensors.keys()) tensors.set(tensor, await file.readFloats(tensor));
    return tensors;
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

function isCount(value: unknown): value is number | null {
  return value === null || typeof value === "number";
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
