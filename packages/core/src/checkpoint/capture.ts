/**
 * Weights and optimiser moments from a device to host arrays and back. Devices that store f32 (wasm, webgpu) get back the same bits;
 * the reference device stores f64 and gets them rounded to f32.
 */
import { elementCount } from "@trimtab/kernels";
import { CheckpointError } from "../errors";
import { writeValues } from "../nn/parameter-values";
import type { ParameterPart, ParameterSet } from "../nn/parameters";
import type { AdamW } from "../optim/adamw";
import type { Tensor } from "../tensor/tensor";

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
  for (const parameter of parameters.all) writeValues(parameters.device, parameter, weights.get(parameter.name) as Float32Array);
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
    all.map(({ name, shape, parts }) => {
      const values = new Float32Array(elementCount(shape));
      for (const { shard, offset, begin, length } of stretchesOf(parts)) {
        values.set((shards[shard] as Float32Array).subarray(offset, offset + length), begin);
      }
      return [name, values];
    }),
  );
}

/** Where each part of a parameter lies in its flat buffer, and which of the parameter's values it holds. */
function stretchesOf(parts: readonly ParameterPart[]) {
  let end = 0;
  return parts.map(({ shard, offset, shape }) => {
    const length = elementCount(shape);
    const begin = end;
    end += length;
    return { shard, offset, begin, length };
  });
}

/** One array per shard, with zeros in the gaps. */
function flat({ all, shards }: ParameterSet, arrays: NamedArrays): Float32Array[] {
  const values = shards.map((shard) => new Float32Array(shard.shape[0] as number));
  for (const { name, parts } of all) {
    for (const { shard, offset, begin, length } of stretchesOf(parts)) {
      values[shard]?.set((arrays.get(name) as Float32Array).subarray(begin, begin + length), offset);
    }
  }
  return values;
}
