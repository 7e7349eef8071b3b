/** AdamW with global-norm clipping over a model's flat buffers (Loshchilov and Hutter 2019; as torch.optim.AdamW). */
import { type Device, hostMath, ops } from "@trimtab/kernels";
import type { Parameter, ParameterSet } from "../nn/parameters";
import { allocate, type Tensor, windowOf } from "../tensor/tensor";
import { QuantizedMoments } from "./quantized-moments";

export interface AdamWOptions {
  /** β1, β2. Default 0.9, 0.999. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment after bias correction. Default 1e-8. */
  readonly eps?: number;
  /** Decoupled weight decay. Default 0. */
  readonly weightDecay?: number;
  /** Which parameters decay. Default: matrices, not norms and biases (as transformers' Trainer). */
  readonly decays?: (parameter: Parameter) => boolean;
  /** Largest global gradient norm; 0 does not clip. Default 1. */
  readonly maxGradNorm?: number;
  /** Keep the moments in 8 bits, a quarter of their memory; see {@link QuantizedMoments}. Default false. */
  readonly is8bit?: boolean;
}

export interface StepOutcome {
  /** Global norm before clipping; NaN or infinite where the step was skipped. */
  readonly gradNorm: number;
  /** True when a non-finite gradient made the step leave everything as it was. */
  readonly skipped: boolean;
}

/** A stretch of a flat buffer whose parameters share their weight decay. */
interface Range {
  readonly shard: number;
  readonly start: number;
  readonly length: number;
  readonly decay: boolean;
}

export class AdamW {
  readonly parameters: ParameterSet;
  /** First and second moments, one flat buffer per shard; none where they are kept in 8 bits. */
  readonly m: readonly Tensor[];
  readonly v: readonly Tensor[];
  /** Steps taken; a skipped step does not count. */
  count = 0;
  readonly #device: Device;
  readonly #options: Required<AdamWOptions>;
  readonly #ranges: readonly Range[];
  readonly #quantized: QuantizedMoments | undefined;
  readonly #sum: Tensor;
  readonly #stats: Tensor;

  constructor(parameters: ParameterSet, options: AdamWOptions = {}) {
    this.parameters = parameters;
    this.#device = parameters.device;
    this.#options = {
      betas: options.betas ?? [0.9, 0.999],
      eps: options.eps ?? 1e-8,
      weightDecay: options.weightDecay ?? 0,
      decays: options.decays ?? ((p) => p.shape.length > 1),
      maxGradNorm: options.maxGradNorm ?? 1,
      is8bit: options.is8bit ?? false,
    };
    this.#ranges = rangesOf(parameters, this.#options.decays);
    const lengths = this.#ranges.map(({ length }) => length);
    this.#quantized = this.#options.is8bit ? new QuantizedMoments(this.#device, lengths) : undefined;
    this.m = this.#quantized ? [] : this.#zerosLike();
    this.v = this.#quantized ? [] : this.#zerosLike();
    this.#sum = allocate(this.#device, [1], "f32", "optimizer");
    this.#stats = allocate(this.#device, [2], "f32", "optimizer");
  }

  /** Clips, updates every parameter with learning rate `lr`, and reads back the gradient norm: the step's one readback. */
  async step(lr: number): Promise<StepOutcome> {
    this.apply(lr);
    return this.outcome((await this.#device.read(this.#stats)) as Float32Array);
  }

  /** The device half of `step`: dispatches only. Read `stats` and hand it to `outcome` before the next `apply`. */
  apply(lr: number): void {
    const { betas, eps, weightDecay, maxGradNorm } = this.#options;
    const [beta1, beta2] = betas;
    const grads = this.parameters.grads();
    const device = this.#device;
    device.dispatch(ops.fill.set, { tensors: { y: this.#sum }, scalars: { value: 0 } });
    for (const g of grads) device.dispatch(ops.adamw.sumSquares, { tensors: { g, sum: this.#sum }, scalars: { O: 1 } });
    device.dispatch(ops.adamw.clip, { tensors: { sum: this.#sum, stats: this.#stats }, scalars: { O: 1, Q: 2, max_norm: maxGradNorm } });
    const t = this.count + 1;
    const correction1 = 1 - hostMath.pow(beta1, t);
    const correction2 = 1 - hostMath.pow(beta2, t);
    const step = ({ shard, start, length, decay }: Range, m: Tensor, v: Tensor) =>
      device.dispatch(ops.adamw.step, {
        tensors: {
          g: windowOf(grads[shard] as Tensor, start, [length]),
          stats: this.#stats,
          p: windowOf(this.parameters.shards[shard] as Tensor, start, [length]),
          m,
          v,
        },
        scalars: { Q: 2, lr, beta1, beta2, eps, weight_decay: decay ? weightDecay : 0, correction1, correction2 },
      });
    if (this.#quantized) {
      this.#quantized.update(({ stretch, begin, m, v }) => {
        const range = this.#ranges[stretch] as Range;
        step({ ...range, start: range.start + begin, length: m.shape[0] as number }, m, v);
      });
      return;
    }
    for (const range of this.#ranges) {
      const slice = (flat: readonly Tensor[]) => windowOf(flat[range.shard] as Tensor, range.start, [range.length]);
      step(range, slice(this.m), slice(this.v));
    }
  }

  /** (norm, clip coefficient) of the last `apply`, on the device. */
  get stats(): Tensor {
    return this.#stats;
  }

  /** Interprets `stats` and advances the step count unless the step was skipped. */
  outcome(stats: Float32Array): StepOutcome {
    const gradNorm = stats[0] as number;
    const skipped = !Number.isFinite(gradNorm);
    if (!skipped) this.count++;
    return { gradNorm, skipped };
  }

  /** The moments in f32, one array per shard. */
  async readMoments(): Promise<{ readonly m: readonly Float32Array[]; readonly v: readonly Float32Array[] }> {
    if (!this.#quantized) {
      const read = (flat: readonly Tensor[]) => Promise.all(flat.map(async (tensor) => (await this.#device.read(tensor)) as Float32Array));
      return { m: await read(this.m), v: await read(this.v) };
    }
    const [m, v] = [0, 1].map(() => this.parameters.shards.map((shard) => new Float32Array(shard.shape[0] as number))) as [
      Float32Array[],
      Float32Array[],
    ];
    await this.#quantized.read(({ stretch, begin }, first, second) => {
      const { shard, start } = this.#ranges[stretch] as Range;
      m[shard]?.set(first, start + begin);
      v[shard]?.set(second, start + begin);
    });
    return { m, v };
  }

  /** Replaces the moments by values in f32, one array per shard. */
  writeMoments(m: readonly Float32Array[], v: readonly Float32Array[]): void {
    const device = this.#device;
    if (!this.#quantized) {
      this.m.forEach((tensor, i) => void device.write(tensor, m[i] as Float32Array));
      this.v.forEach((tensor, i) => void device.write(tensor, v[i] as Float32Array));
      return;
    }
    this.#quantized.replace(({ stretch, begin, m: first, v: second }) => {
      const { shard, start } = this.#ranges[stretch] as Range;
      const [from, to] = [start + begin, start + begin + (first.shape[0] as number)];
      device.write(first, (m[shard] as Float32Array).subarray(from, to));
      device.write(second, (v[shard] as Float32Array).subarray(from, to));
    });
  }

  dispose(): void {
    this.#quantized?.dispose();
    for (const tensor of [...this.m, ...this.v, this.#sum, this.#stats]) this.#device.free(tensor.buffer);
  }

  #zerosLike(): Tensor[] {
    return this.parameters.shards.map((shard) => {
      const tensor = allocate(this.#device, shard.shape, "f32", "optimizer");
      this.#device.dispatch(ops.fill.set, { tensors: { y: tensor }, scalars: { value: 0 } });
      return tensor;
    });
  }
}

/** Joins neighbouring parameters with the same decay into one range; gaps between them are zeros and stay zeros. */
function rangesOf(parameters: ParameterSet, decays: (parameter: Parameter) => boolean): Range[] {
  const ranges: Range[] = [];
  const parts = parameters.all.flatMap((parameter) => parameter.parts.map((part) => ({ ...part, decay: decays(parameter) })));
  parts.forEach((p, i) => {
    const { decay } = p;
    const next = parts[i + 1];
    const end = next && next.shard === p.shard ? next.offset : (parameters.shards[p.shard]?.shape[0] as number);
    const last = ranges.at(-1);
    if (last && last.shard === p.shard && last.decay === decay) ranges[ranges.length - 1] = { ...last, length: end - last.start };
    else ranges.push({ shard: p.shard, start: p.offset, length: end - p.offset, decay });
  });
  return ranges;
}
