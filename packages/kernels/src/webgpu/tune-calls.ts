/** The calls that tuning measures, with their tensors on the device. */
import { elementCount } from "../bind";
import type { EntryPoint } from "../contract";
import type { DispatchArgs, TensorRef } from "../device";
import { ops } from "../ops/index";
import type { KernelClass, ProductLayout, TuningChoices } from "../tuning";
import type { WebGpuDevice } from "./device";
import type { ProductShape } from "./plans/cut";

/** A model of SmolLM2-135M's shape, and its batches: 4,096 tokens in 8 sequences; decoding 32 rows with 512 positions each. */
const CHANNELS = 576;
const HEADS = { H: 9, K: 3, D: 64 };
const WIDE_HEADS = { H: 8, K: 2, D: 128 };
const BATCH = { N: 4096, S: 8 };
const DECODING = { N: 32, positions: 512, block: 16 };

/** One call; tensors are freed with it. */
export class TunedCall {
  readonly entry: EntryPoint;
  readonly args: DispatchArgs;
  readonly #device: WebGpuDevice;
  /** Compared; what the call adds to begins with zeros each time. */
  readonly #result: TensorRef;

  constructor(device: WebGpuDevice, entry: EntryPoint, args: DispatchArgs, result: TensorRef) {
    this.entry = entry;
    this.args = args;
    this.#device = device;
    this.#result = result;
  }

  /** The length of a row of the result. */
  get rowLength(): number {
    return this.#result.shape.at(-1) as number;
  }

  async result(choices: TuningChoices): Promise<Float32Array> {
    this.#device.write(this.#result, new Float32Array(elementCount(this.#result.shape)));
    this.#device.tuner.withChoices(choices, () => this.#device.dispatch(this.entry, this.args));
    return (await this.#device.read(this.#result)) as Float32Array;
  }

  free(): void {
    for (const tensor of Object.values(this.args.tensors)) if (tensor) this.#device.free(tensor.buffer);
  }
}

/** A product (rows, depth) · (depth, columns) in one of its layouts. */
export function productCall(device: WebGpuDevice, layout: ProductLayout, { rows, columns, depth }: ProductShape): TunedCall {
  const tensor = (...shape: number[]) => drawn(device, shape);
  const out = tensor(rows, columns);
  if (layout === "forward") {
    const tensors = { x: tensor(rows, depth), w: tensor(columns, depth), y: out };
    return new TunedCall(device, ops.matmul.forward, { tensors }, out);
  }
  if (layout === "input") {
    const tensors = { dy: tensor(rows, depth), w: tensor(depth, columns), dx: out };
    return new TunedCall(device, ops.matmul.backwardInput, { tensors }, out);
  }
  const tensors = { dy: tensor(depth, rows), x: tensor(depth, columns), dw: out };
  return new TunedCall(device, ops.matmul.backwardWeight, { tensors }, out);
}

/** What makes a call of a class of kernels, by the call's name. */
type CallMakers = Readonly<Record<string, (device: WebGpuDevice) => TunedCall>>;

export const KERNEL_CALLS: Readonly<Record<KernelClass, CallMakers>> = {
  reductions: { "rms_norm_forward of (4096, 576)": normCall, "kv_cache_attend of 32 rows, 9 heads of 64": cacheCall },
  "attention forward": {
    "4096 rows in 8 sequences, 9 heads of 64": (device) => attentionCall(device, HEADS, false),
    "4096 rows in 8 sequences, 8 heads of 128": (device) => attentionCall(device, WIDE_HEADS, false),
  },
  "attention backward": {
    "4096 rows in 8 sequences, 9 heads of 64": (device) => attentionCall(device, HEADS, true),
    "4096 rows in 8 sequences, 8 heads of 128": (device) => attentionCall(device, WIDE_HEADS, true),
  },
};

function normCall(device: WebGpuDevice): TunedCall {
  const y = drawn(device, [BATCH.N, CHANNELS]);
  const tensors = { x: drawn(device, [BATCH.N, CHANNELS]), w: drawn(device, [CHANNELS]), y, rstd: drawn(device, [BATCH.N]) };
  return new TunedCall(device, ops.rmsNorm.forward, { tensors, scalars: { eps: 1e-6 } }, y);
}

function cacheCall(device: WebGpuDevice): TunedCall {
  const { N, positions, block } = DECODING;
  const { H, K, D } = HEADS;
  const blocks = positions / block;
  const o = drawn(device, [N, H * D]);
  const tensors = {
    qkv: drawn(device, [N, (H + 2 * K) * D]),
    cache: drawn(device, [N * positions, 2 * K * D]),
    tables: written(
      device,
      Uint32Array.from({ length: N * blocks }, (_, i) => i),
      [N, blocks],
    ),
    lengths: written(device, new Uint32Array(N).fill(positions), [N]),
    o,
  };
  return new TunedCall(device, ops.kvCache.attend, { tensors, scalars: { ...HEADS, block, scale: D ** -0.5, cap: 0, window: 0 } }, o);
}

function attentionCall(device: WebGpuDevice, heads: typeof HEADS, isBackward: boolean): TunedCall {
  const { H, K, D } = heads;
  const { N, S } = BATCH;
  const scalars = { S, ...heads, scale: D ** -0.5, cap: 0, window: 0 };
  const qkv = drawn(device, [N, (H + 2 * K) * D]);
  const offsets = written(
    device,
    Uint32Array.from({ length: S + 1 }, (_, s) => (s * N) / S),
    [S + 1],
  );
  const o = drawn(device, [N, H * D]);
  const lse = drawn(device, [N, H]);
  const forward = { tensors: { qkv, offsets, o, lse }, scalars };
  if (!isBackward) return new TunedCall(device, ops.attention.forward, forward, o);
  device.dispatch(ops.attention.forward, forward);
  const dqkv = drawn(device, [N, (H + 2 * K) * D]);
  const tensors = { do: drawn(device, [N, H * D]), qkv, o, lse, offsets, dqkv };
  return new TunedCall(device, ops.attention.backward, { tensors, scalars }, dqkv);
}

function written(device: WebGpuDevice, data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>, shape: readonly number[]): TensorRef {
  const dtype = data instanceof Uint32Array ? "u32" : "f32";
  const tensor: TensorRef = { buffer: device.alloc(data.byteLength), byteOffset: 0, shape, dtype };
  device.write(tensor, data);
  return tensor;
}

/** Of which numbers are drawn before they come again: a prime, so that no two rows of a tensor are the same. */
const DRAWN = 65_521;

/** Numbers in [-1, 1) without a pattern that a product would show. */
function drawn(device: WebGpuDevice, shape: readonly number[]): TensorRef {
  const numbers = new Float32Array(elementCount(shape));
  let state = 1;
  for (let i = 0; i < Math.min(DRAWN, numbers.length); i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    numbers[i] = state / 2 ** 31;
  }
  for (let i = DRAWN; i < numbers.length; i *= 2) numbers.copyWithin(i, 0, i);
  return written(device, numbers, shape);
}
