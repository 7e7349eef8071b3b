/** Parameters as one vector on the device, all of them or some, with the operations of a vector space and gradients of their own. */
import { BINARY_KINDS, type Device, ops, UNARY_KINDS } from "@trimtab/kernels";
import type { Parameter, ParameterPart, ParameterSet } from "../nn/parameters";
import { alignElements, allocate, type Tensor, upload, windowOf } from "../tensor/tensor";
import type { VectorSpace } from "./vector-space";

/** One tensor of one axis for each stretch of parameters. */
export type FlatVector = readonly Tensor[];

/** A stretch of a flat buffer that holds only chosen parameters (and gaps of zeros). */
interface Stretch {
  readonly shard: number;
  readonly start: number;
  readonly length: number;
}

/** Products that one thread of `dot` adds up: few enough to keep their digits in f32, many enough to leave the host little. */
const BLOCK = 512;

/**
 * The space of some of a model's parameters. While it is open, gradients arrive in `grads` and at the chosen parameters only, so that the
 * backward pass computes nothing for the others; `dispose` gives the parameters back the gradients they had.
 */
export class ParameterSpace implements VectorSpace<FlatVector> {
  /** The parameters themselves: what is written here is the model. */
  readonly values: FlatVector;
  /** Where their gradients accumulate. */
  readonly grads: FlatVector;
  /** The chosen parameters. */
  readonly parameters: readonly Parameter[];
  readonly #device: Device;
  readonly #stretches: readonly Stretch[];
  readonly #scratch: FlatVector;
  /** Block borders of each stretch, u32 (blocks + 1). */
  readonly #blocks: FlatVector;
  /** Sums of the blocks of all stretches, each stretch's from a place where a window may start. */
  readonly #sums: Tensor;
  readonly #replaced: ReadonlyMap<ParameterPart, Tensor | undefined>;

  /** Of every parameter, or of those whose name `isChosen` says yes to; at least one. */
  constructor(set: ParameterSet, isChosen: (name: string) => boolean = () => true) {
    this.#device = set.device;
    this.#stretches = stretchesOf(set, isChosen);
    this.values = this.#stretches.map(({ shard, start, length }) => windowOf(set.shards[shard] as Tensor, start, [length]));
    this.grads = this.zeros();
    this.#scratch = this.zeros();
    this.#blocks = this.#stretches.map(({ length }) => upload(set.device, blockBorders(length)));
    this.#sums = this.#zeroed(this.#blocks.reduce((sum, borders) => sum + alignElements(blockCount(borders)), 0));
    this.#replaced = new Map(set.parts.map((part) => [part, part.grad]));
    this.parameters = set.all.filter(({ name }) => isChosen(name));
    for (const part of set.parts) part.grad = this.#gradOf(part);
  }

  zeros(): FlatVector {
    return this.#stretches.map(({ length }) => this.#zeroed(length));
  }

  free(vector: FlatVector): void {
    for (const { buffer } of vector) this.#device.free(buffer);
  }

  /** y = 0 */
  clear(y: FlatVector): void {
    for (const part of y) this.#device.dispatch(ops.fill.set, { tensors: { y: part }, scalars: { value: 0 } });
  }

  copy(from: FlatVector, to: FlatVector): void {
    from.forEach((part, i) => {
      this.#device.copy(part, to[i] as Tensor);
    });
  }

  addScaled(y: FlatVector, a: number, x: FlatVector): void {
    this.#scaled(x, a);
    this.#scratch.forEach((part, i) => {
      this.#device.dispatch(ops.accumulate.add, { tensors: { x: part, y: y[i] } });
    });
  }

  scale(y: FlatVector, a: number): void {
    this.#scaled(y, a);
    this.copy(this.#scratch, y);
  }

  /** Blocks are summed on the device, in f32 or better, and their sums on the host in f64. One readback. */
  async dot(x: FlatVector, y: FlatVector): Promise<number> {
    let at = 0;
    const windows = this.#blocks.map((offsets, i) => {
      const z = this.#scratch[i] as Tensor;
      this.#device.dispatch(ops.binary.forward, { tensors: { x: x[i], y: y[i], z }, scalars: { kind: BINARY_KINDS.mul } });
      const sums = windowOf(this.#sums, at, [blockCount(offsets)]);
      this.#device.dispatch(ops.segment.sum, { tensors: { x: z, offsets, y: sums } });
      at += alignElements(blockCount(offsets));
      return sums;
    });
    const sums = (await this.#device.read(this.#sums)) as Float32Array;
    let total = 0;
    for (const { byteOffset, shape } of windows) {
      for (let i = 0; i < (shape[0] as number); i++) total += sums[byteOffset / 4 + i] as number;
    }
    return total;
  }

  dispose(): void {
    for (const [part, grad] of this.#replaced) part.grad = grad;
    for (const vector of [this.grads, this.#scratch, this.#blocks]) this.free(vector);
    this.#device.free(this.#sums.buffer);
  }

  /** scratch = a x */
  #scaled(x: FlatVector, a: number): void {
    this.#scratch.forEach((y, i) => {
      this.#device.dispatch(ops.unary.forward, { tensors: { x: x[i], y }, scalars: { kind: UNARY_KINDS.affine, a, b: 0 } });
    });
  }

  #gradOf({ shard, offset, shape }: ParameterPart): Tensor | undefined {
    const i = this.#stretches.findIndex((s) => s.shard === shard && s.start <= offset && offset < s.start + s.length);
    return i < 0 ? undefined : windowOf(this.grads[i] as Tensor, offset - (this.#stretches[i] as Stretch).start, shape);
  }

  #zeroed(length: number): Tensor {
    const y = allocate(this.#device, [length]);
    this.#device.dispatch(ops.fill.set, { tensors: { y }, scalars: { value: 0 } });
    return y;
  }
}

/** Joins chosen neighbours; the gap behind a parameter belongs to it. */
function stretchesOf(set: ParameterSet, isChosen: (name: string) => boolean): Stretch[] {
  const stretches: Stretch[] = [];
  const parts = set.all.flatMap(({ name, parts }) => parts.map((part) => ({ ...part, name })));
  parts.forEach(({ name, shard, offset }, i) => {
    if (!isChosen(name)) return;
    const next = parts[i + 1];
    const end = next?.shard === shard ? next.offset : (set.shards[shard]?.shape[0] as number);
    const last = stretches.at(-1);
    if (last && last.shard === shard && last.start + last.length === offset) {
      stretches[stretches.length - 1] = { ...last, length: end - last.start };
    } else stretches.push({ shard, start: offset, length: end - offset });
  });
  return stretches;
}

/** 0, BLOCK, 2 BLOCK, ..., length */
function blockBorders(length: number): Uint32Array {
  const count = Math.ceil(length / BLOCK);
  return Uint32Array.from({ length: count + 1 }, (_, i) => Math.min(length, i * BLOCK));
}

const blockCount = (borders: Tensor): number => (borders.shape[0] as number) - 1;
