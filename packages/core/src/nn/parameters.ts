/**
 * A model's parameters, packed in a few flat buffers so that clipping, AdamW and zeroing are one dispatch each.
 *
 * Each parameter is a window on its buffer. Gradients, when training, are windows at the same places of equally long
 * buffers. Gaps between windows hold zeros and stay zero. Matrices in low precision are frozen and lie in buffers of their own.
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
import { alignElements, allocate, type Tensor, windowOf } from "../tensor/tensor";

/** How a parameter starts: normal with a standard deviation, or a constant. */
export type Init = { readonly std: number } | { readonly constant: number };

export interface ParameterSpec {
  /** Our own name, e.g. `layers.0.attention.qkv`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Init;
  /** Low precision in which a matrix (out, in) is kept, which freezes it; undefined is f32. */
  readonly format?: WeightFormatName | undefined;
}

export interface Parameter extends ParameterSpec {
  readonly value: Tensor;
  /** Where gradients accumulate; undefined when the parameter is frozen. */
  grad: Tensor | undefined;
  /** Which flat buffer it lies in, and its first element there. */
  readonly shard: number;
  readonly offset: number;
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
    const plain = layOut(
      device,
      [...floats.filter((s) => s.shape.length > 1), ...floats.filter((s) => s.shape.length <= 1)],
      ({ shape }) => shape,
    );
    this.shards = plain.lengths.map((length) => zeros(device, length, "weights"));
    this.all = plain.places.map(({ spec, shape, shard, offset }) => ({
      ...spec,
      shard,
      offset,
      value: windowOf(this.shards[shard] as Tensor, offset, shape),
      grad: undefined,
    }));
    const packed = layOut(
      device,
      specs.filter((spec): spec is ParameterSpec & Pick<PackedParameter, "format"> => spec.format !== undefined),
      ({ shape: [rows, columns], format }) => [rows as number, packedRowWords(WEIGHT_FORMATS[format], columns as number)],
    );
    this.packedShards = packed.lengths.map((length) => allocate(device, [length], "u32", "weights"));
    this.packed = packed.places.map(({ spec, shape, shard, offset }) => ({
      ...spec,
      packed: windowOf(this.packedShards[shard] as Tensor, offset, shape),
    }));
    this.#byName = new Map([...this.all, ...this.packed].map((p) => [p.name, p]));
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
      for (const p of this.all) p.grad = windowOf(grads[p.shard] as Tensor, p.offset, p.shape);
      this.#grads = grads;
    }
    return this.#grads;
  }

  /** Gives the gradients' memory back; the next use makes them anew. */
  freeGrads(): void {
    for (const { buffer } of this.#grads ?? []) this.device.free(buffer);
    for (const p of this.all) p.grad = undefined;
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
      this.device.write(p.value, values);
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

/** Where each parameter lies when they follow each other in buffers no longer than the device allows; `shapeOf` is what is kept of it. */
function layOut<Spec extends ParameterSpec>(device: Device, specs: readonly Spec[], shapeOf: (spec: Spec) => readonly number[]) {
  const limit = Math.floor(device.info.maxBufferBytes / 4);
  const lengths: number[] = [];
  const places = specs.map((spec) => {
    const shape = shapeOf(spec);
    const length = alignElements(elementCount(shape));
    if (length > limit) {
      throw new OutOfMemoryError(
        `ParameterSet: parameter \`${spec.name}\` (${spec.shape.join(", ")}) must fit one buffer of ${device.info.maxBufferBytes} bytes on ${device.info.name}, got ${length * 4} bytes. Use the wasm device or a smaller vocabulary.`,
        length * 4,
        device.info.maxBufferBytes,
      );
    }
    const last = lengths.length - 1;
    if (last < 0 || (lengths[last] as number) + length > limit) lengths.push(0);
    const shard = lengths.length - 1;
    const offset = lengths[shard] as number;
    lengths[shard] = offset + length;
    return { spec, shape, shard, offset };
  });
  return { lengths, places };
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
