/**
 * A model's parameters, packed in a few flat buffers so that clipping, AdamW and zeroing are one dispatch each.
 *
 * Each parameter is a window on its buffer. Gradients, when training, are windows at the same places of equally long
 * buffers. Gaps between windows hold zeros and stay zero. A table that is longer than a buffer may be is several windows, a part of its rows each;
 * every other parameter is one. Matrices in low precision are frozen and lie in buffers of their own.
 */
import {
  type Device,
  elementCount,
  fillNormal,
  type MemoryKind,
  OutOfMemoryError,
  ops,
  packedRowWords,
  WEIGHT_FORMATS,
  type WeightFormatName,
} from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import { ConfigError } from "../errors";
import { allocate, type Tensor, windowOf } from "../tensor/tensor";
import { layOut, type Place } from "./parameter-layout";
import { writeValues } from "./parameter-values";

/** How a parameter starts: normal with a standard deviation, or a constant. */
export type Init = { readonly std: number } | { readonly constant: number };

export interface ParameterSpec {
  /** Our own name, e.g. `layers.0.attention.qkv`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Init;
  /** Low precision in which a matrix (out, in) is kept, which freezes it; undefined is f32. */
  readonly format?: WeightFormatName | undefined;
  /** True for a matrix (V, C) with a row for each token: a device whose buffers are smaller than it keeps it in parts. Default false. */
  readonly isTable?: boolean | undefined;
}

/** Consecutive rows of a parameter, mostly all of them: what lies in one buffer. */
export interface ParameterPart extends Place {
  readonly value: Tensor;
  /** Where gradients accumulate; undefined when the parameter is frozen. */
  grad: Tensor | undefined;
}

export interface Parameter extends ParameterSpec {
  /** In the order of their rows; several only of a table. */
  readonly parts: readonly ParameterPart[];
  /** Those of a parameter in one part. Throw OutOfMemoryError for a table in several. */
  readonly value: Tensor;
  readonly grad: Tensor | undefined;
}

/** A parameter as it is laid out. */
class LaidOutParameter implements Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Init;
  readonly isTable: boolean | undefined;
  readonly parts: readonly ParameterPart[];

  constructor({ name, shape, init, isTable }: ParameterSpec, parts: readonly ParameterPart[]) {
    this.name = name;
    this.shape = shape;
    this.init = init;
    this.isTable = isTable;
    this.parts = parts;
  }

  get value(): Tensor {
    return onlyPart(this).value;
  }

  get grad(): Tensor | undefined {
    return onlyPart(this).grad;
  }
}

function onlyPart({ name, shape, parts }: Parameter): ParameterPart {
  const [first] = parts as readonly [ParameterPart];
  if (parts.length === 1) return first;
  const bytes = 4 * elementCount(shape);
  const largest = 4 * elementCount(first.shape);
  throw new OutOfMemoryError(
    `ParameterSet: parameter \`${name}\` (${shape.join(", ")}) must lie in one buffer for what is asked, got ${parts.length} parts of it on this device. Use \`parts\`, or a device with larger buffers.`,
    bytes,
    largest,
  );
}

/** A frozen matrix in low precision. */
export interface PackedParameter extends ParameterSpec {
  readonly format: WeightFormatName;
  /** u32 (out, words of a row): the layout of @trimtab/kernels' weight formats. */
  readonly packed: Tensor;
}

/** A matrix of a linear layer, in f32 or in low precision. */
export type Weight = Parameter | PackedParameter;

export class ParameterSet {
  readonly device: Device;
  /** Those in f32, which may be trained. */
  readonly all: readonly Parameter[];
  /** Those in low precision. */
  readonly packed: readonly PackedParameter[];
  /** The flat buffers, one axis each. */
  readonly shards: readonly Tensor[];
  /** Those of the packed parameters, u32. */
  readonly packedShards: readonly Tensor[];
  #grads: Tensor[] | undefined;
  readonly #byName: ReadonlyMap<string, Weight>;

  /** Lays the parameters out, matrices first, in buffers no longer than the device allows. Contents are zero. */
  constructor(device: Device, specs: readonly ParameterSpec[]) {
    this.device = device;
    const floats = specs.filter(({ format }) => format === undefined);
    const plain = layOut<ParameterSpec>(
      device,
      [...floats.filter((s) => s.shape.length > 1), ...floats.filter((s) => s.shape.length <= 1)],
      ({ shape }) => shape,
    );
    this.shards = plain.lengths.map((length) => zeros(device, length, "weights"));
    this.all = plain.places.map(({ spec, parts }) => {
      const windows = parts.map((part) => ({
        ...part,
        value: windowOf(this.shards[part.shard] as Tensor, part.offset, part.shape),
        grad: undefined,
      }));
      return new LaidOutParameter(spec, windows);
    });
    const packed = layOut(
      device,
      specs.filter((spec): spec is ParameterSpec & Pick<PackedParameter, "format"> => spec.format !== undefined),
      ({ shape: [rows, columns], format }) => [rows as number, packedRowWords(WEIGHT_FORMATS[format], columns as number)],
    );
    this.packedShards = packed.lengths.map((length) => allocate(device, [length], "u32", "weights"));
    this.packed = packed.places.map(({ spec, parts: [place] }) => {
      const { shape, shard, offset } = place as Place;
      return { ...spec, packed: windowOf(this.packedShards[shard] as Tensor, offset, shape) };
    });
    this.#byName = new Map([...this.all, ...this.packed].map((p) => [p.name, p]));
  }

  /** The parts of those in f32, as they follow each other in the flat buffers. */
  get parts(): readonly ParameterPart[] {
    return this.all.flatMap(({ parts }) => parts);
  }

  /** Number of values, gaps not counted. */
  get count(): number {
    return [...this.all, ...this.packed].reduce((sum, p) => sum + elementCount(p.shape), 0);
  }

  /** A parameter in f32. */
  get(name: string): Parameter {
    const parameter = this.weight(name);
    if ("packed" in parameter) throw new RangeError(`ParameterSet.get: "${name}" must be in f32, got ${parameter.format}.`);
    return parameter;
  }

  /** A parameter in f32 or in low precision. */
  weight(name: string): Weight {
    const parameter = this.#byName.get(name);
    if (!parameter) throw new RangeError(`ParameterSet.weight: no parameter is called "${name}".`);
    return parameter;
  }

  /** Throws ConfigError where some of the parameters are in low precision, which has no gradients. */
  requireTrainable(): void {
    const [first] = this.packed;
    if (!first) return;
    throw new ConfigError(
      `training: the weights must be in float32 to be trained whole, got ${first.format}. Train an adapter (LoRA) on them, or load the model in float32.`,
    );
  }

  /** Flat gradient buffers, one per shard; made on first use. Throws as {@link requireTrainable}. */
  grads(): readonly Tensor[] {
    this.requireTrainable();
    if (!this.#grads) {
      const grads = this.shards.map((shard) => zeros(this.device, shard.shape[0] as number, "gradients"));
      for (const part of this.parts) part.grad = windowOf(grads[part.shard] as Tensor, part.offset, part.shape);
      this.#grads = grads;
    }
    return this.#grads;
  }

  /** Gives the gradients' memory back; the next use makes them anew. */
  freeGrads(): void {
    for (const { buffer } of this.#grads ?? []) this.device.free(buffer);
    for (const part of this.parts) part.grad = undefined;
    this.#grads = undefined;
  }

  zeroGrads(): void {
    for (const grad of this.grads()) this.device.dispatch(ops.fill.set, { tensors: { y: grad }, scalars: { value: 0 } });
  }

  /** Number of bytes of the values, gaps counted. */
  get byteLength(): number {
    return [...this.shards, ...this.packedShards].reduce((sum, shard) => sum + 4 * (shard.shape[0] as number), 0);
  }

  /** Fills every parameter from its `init`; the same seed gives the same bits on every device. Throws as {@link requireTrainable}. */
  initialise(seed: number): void {
    this.requireTrainable();
    if (this.device.info.isDry) return;
    this.all.forEach((p, stream) => {
      const values = new Float32Array(elementCount(p.shape));
      if ("std" in p.init) fillNormal(values, seed, stream, p.init.std);
      else values.fill(p.init.constant);
      writeValues(this.device, p, values);
    });
  }

  /** A frozen copy on the same device: a reference model's weights. */
  clone(): ParameterSet {
    const copy = new ParameterSet(this.device, [...this.all, ...this.packed]);
    const copies = [...copy.shards, ...copy.packedShards];
    [...this.shards, ...this.packedShards].forEach((shard, i) => {
      this.device.copy(shard, copies[i] as Tensor);
    });
    return copy;
  }

  dispose(): void {
    for (const tensor of [...this.shards, ...this.packedShards, ...(this.#grads ?? [])]) this.device.free(tensor.buffer);
  }
}

/** Runs `use` with each parameter's gradient window, or a throw-away tensor where the parameter is frozen. */
export function scratchGrad(tape: Tape, parameters: readonly Parameter[], use: (grads: readonly Tensor[]) => void): void {
  const made: Tensor[] = [];
  const grads = parameters.map((p) => {
    if (p.grad) return p.grad;
    const scratch = allocate(tape.device, p.shape, "f32", "scratch");
    made.push(scratch);
    return scratch;
  });
  use(grads);
  for (const tensor of made) tape.device.free(tensor.buffer);
}

function zeros(device: Device, length: number, kind: MemoryKind): Tensor {
  const tensor = allocate(device, [length], "f32", kind);
  device.dispatch(ops.fill.set, { tensors: { y: tensor }, scalars: { value: 0 } });
  return tensor;
}
