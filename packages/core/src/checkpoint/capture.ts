/**
 * Weights and optimiser moments from a device to host arrays and back. Devices that store f32 (wasm, webgpu) get back the same bits;
 * the reference device stores f64 and gets them rounded to f32.
 */
import { elementCount } from "@trimtab/kernels";
import { CheckpointError } from "../errors";
import type { ParameterSet } from "../nn/parameters";
import type { AdamW } from "../optim/adamw";
import { type Tensor, windowOf } from "../tensor/tensor";

/** Values by parameter name ("layers.0.attention.qkv"), each flat in the parameter's layout. */
export type NamedArrays = ReadonlyMap<string, Float32Array>;

export interface OptimizerState {
  /** AdamW's step count; skipped steps do not count. */
  readonly count: number;
  /** First and second moments. */
  readonly m: NamedArrays;
  readonly v: NamedArrays;
}

/** Reads a model's weights: one readback per flat buffer. */
export function captureParameters(parameters: ParameterSet): Promise<NamedArrays> {
  return readNamed(parameters, parameters.shards);
}

/** Writes captured weights into a model of the same shape. Throws CheckpointError, before anything is written, where they do not fit. */
export function restoreParameters(parameters: ParameterSet, weights: NamedArrays): void {
  requireLayout(parameters, weights);
  writeNamed(parameters, weights, parameters.shards);
}

/** Reads an optimiser's moments and step count. */
export async function captureOptimizer(optimizer: AdamW): Promise<OptimizerState> {
  const { parameters, count } = optimizer;
  const { m, v } = await optimizer.readMoments();
  return { count, m: named(parameters, m), v: named(parameters, v) };
}

/** Writes captured moments and the step count into an optimiser over parameters of the same shape. */
export function restoreOptimizer(optimizer: AdamW, { count, m, v }: OptimizerState): void {
  const { parameters } = optimizer;
  requireLayout(parameters, m);
  requireLayout(parameters, v);
  optimizer.writeMoments(flat(parameters, m), flat(parameters, v));
  optimizer.count = count;
}

/** Throws CheckpointError unless `arrays` has exactly the parameters' names and sizes. */
export function requireLayout(parameters: ParameterSet, arrays: NamedArrays): void {
  const fail = (tensor: string, must: string, got: string) =>
    new CheckpointError(`resume: parameter \`${tensor}\` must ${must}, got ${got}. Resume with the model that the run was started with.`, {
      tensor,
    });
  for (const { name, shape } of parameters.all) {
    const count = elementCount(shape);
    const got = arrays.get(name)?.length;
    if (got !== count) throw fail(name, `have ${count} values`, String(got ?? "none"));
  }
  const known = new Set(parameters.all.map(({ name }) => name));
  for (const name of arrays.keys()) if (!known.has(name)) throw fail(name, "be one of the model's", "one that it does not have");
}

async function readNamed(parameters: ParameterSet, shards: readonly Tensor[]): Promise<NamedArrays> {
  return named(parameters, (await Promise.all(shards.map((shard) => parameters.device.read(shard)))) as Float32Array[]);
}

function named({ all }: ParameterSet, shards: readonly Float32Array[]): NamedArrays {
  return new Map(
    all.map(({ name, shard, offset, shape }) => [name, (shards[shard] as Float32Array).slice(offset, offset + elementCount(shape))]),
  );
}

/** One array per shard, with zeros in the gaps. */
function flat({ all, shards }: ParameterSet, arrays: NamedArrays): Float32Array[] {
  const values = shards.map((shard) => new Float32Array(shard.shape[0] as number));
  for (const { name, shard, offset } of all) values[shard]?.set(arrays.get(name) as Float32Array, offset);
  return values;
}

function writeNamed({ device, all }: ParameterSet, arrays: NamedArrays, shards: readonly Tensor[]): void {
  for (const { name, shard, offset, shape } of all) {
    device.write(windowOf(shards[shard] as Tensor, offset, shape), arrays.get(name) as Float32Array);
  }
}
