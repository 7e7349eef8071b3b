/**
 * A model's parameters, packed in a few flat buffers so that clipping, AdamW and zeroing are one dispatch each.
 *
 * Each parameter is a window on its buffer. Gradients, when training, are windows at the same places of equally long
 * buffers. Gaps between windows hold zeros and stay zero.
 */
import { type Device, elementCount, fillNormal, OutOfMemoryError, ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import { alignElements, allocate, type Tensor, windowOf } from "../tensor/tensor";

/** How a parameter starts: normal with a standard deviation, or a constant. */
export type Init = { readonly std: number } | { readonly constant: number };

export interface ParameterSpec {
  /** Our own name, e.g. `layers.0.attention.qkv`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Init;
}

export interface Parameter extends ParameterSpec {
  readonly value: Tensor;
  /** Where gradients accumulate; undefined when the parameter is frozen. */
  grad: Tensor | undefined;
  /** Which flat buffer it lies in, and its first element there. */
  readonly shard: number;
  readonly offset: number;
}

export class ParameterSet {
  readonly device: Device;
  readonly all: readonly Parameter[];
  /** The flat buffers, one axis each. */
  readonly shards: readonly Tensor[];
  #grads: Tensor[] | undefined;
  readonly #byName: ReadonlyMap<string, Parameter>;

  /** Lays the parameters out, matrices first, in buffers no longer than the device allows. Contents are zero. */
  constructor(device: Device, specs: readonly ParameterSpec[]) {
    this.device = device;
    const limit = Math.floor(device.info.maxBufferBytes / 4);
    const ordered = [...specs.filter((s) => s.shape.length > 1), ...specs.filter((s) => s.shape.length <= 1)];
    const lengths: number[] = [];
    const places = ordered.map((spec) => {
      const length = alignElements(elementCount(spec.shape));
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
      return { spec, shard, offset };
    });
    this.shards = lengths.map((length) => zeros(device, length));
    this.all = places.map(({ spec, shard, offset }) => ({
      ...spec,
      shard,
      offset,
      value: windowOf(this.shards[shard] as Tensor, offset, spec.shape),
      grad: undefined,
    }));
    this.#byName = new Map(this.all.map((p) => [p.name, p]));
  }

  /** Number of trained values, gaps not counted. */
  get count(): number {
    return this.all.reduce((sum, p) => sum + elementCount(p.shape), 0);
  }

  get(name: string): Parameter {
    const parameter = this.#byName.get(name);
    if (!parameter) throw new RangeError(`ParameterSet.get: no parameter is called "${name}".`);
    return parameter;
  }

  /** Flat gradient buffers, one per shard; made on first use. */
  grads(): readonly Tensor[] {
    if (!this.#grads) {
      const grads = this.shards.map((shard) => zeros(this.device, shard.shape[0] as number));
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

  /** Fills every parameter from its `init`; the same seed gives the same bits on every device. */
  initialise(seed: number): void {
    this.all.forEach((p, stream) => {
      const values = new Float32Array(elementCount(p.shape));
      if ("std" in p.init) fillNormal(values, seed, stream, p.init.std);
      else values.fill(p.init.constant);
      this.device.write(p.value, values);
    });
  }

  /** A frozen copy on the same device: a reference model's weights. */
  clone(): ParameterSet {
    const copy = new ParameterSet(this.device, this.all);
    this.shards.forEach((shard, i) => {
      this.device.copy(shard, copy.shards[i] as Tensor);
    });
    return copy;
  }

  dispose(): void {
    for (const tensor of [...this.shards, ...(this.#grads ?? [])]) this.device.free(tensor.buffer);
  }
}

/** Runs `use` with each parameter's gradient window, or a throw-away tensor where the parameter is frozen. */
export function scratchGrad(tape: Tape, parameters: readonly Parameter[], use: (grads: readonly Tensor[]) => void): void {
  const made: Tensor[] = [];
  const grads = parameters.map((p) => {
    if (p.grad) return p.grad;
    const scratch = allocate(tape.device, p.shape);
    made.push(scratch);
    return scratch;
  });
  use(grads);
  for (const tensor of made) tape.device.free(tensor.buffer);
}

function zeros(device: Device, length: number): Tensor {
  const tensor = allocate(device, [length]);
  device.dispatch(ops.fill.set, { tensors: { y: tensor }, scalars: { value: 0 } });
  return tensor;
}
