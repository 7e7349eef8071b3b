/** The lazily created host.wasm instance and the scratch layout its wrappers share. */
import base64 from "../../build/host.wasm";
import { ensureBytes, instantiate, type WasmMemory } from "./web-assembly";

interface HostExports {
  readonly memory: WasmMemory;
  heap_base(): number;
  exp(x: number): number;
  expm1(x: number): number;
  log(x: number): number;
  log1p(x: number): number;
  pow(x: number, y: number): number;
  sin(x: number): number;
  cos(x: number): number;
  tanh(x: number): number;
  sqrt(x: number): number;
  random_block(k0: number, k1: number, c0: number, c1: number): bigint;
  random_bits(lo: number, hi: number, stream: number, counter: number): number;
  random_uniform(lo: number, hi: number, stream: number, counter: number): number;
  random_int(bound: number, lo: number, hi: number, stream: number, counter: number): number;
  fill_normal(out: number, n: number, lo: number, hi: number, stream: number, std: number): void;
  shuffle(out: number, n: number, lo: number, hi: number, stream: number): void;
  rope_table(cos: number, sin: number, frequencies: number, positions: number, half: number, attentionFactor: number): void;
  combine_rewards(out: number, rewards: number, weights: number, rows: number, columns: number, low: number, high: number): void;
  group_advantages(out: number, rewards: number, n: number, groupSize: number, scale: number, epsilon: number): void;
  normalize_then_sum(
    out: number,
    rewards: number,
    weights: number,
    column: number,
    rows: number,
    columns: number,
    groupSize: number,
    epsilon: number,
  ): void;
  standardize(out: number, x: number, n: number, epsilon: number): void;
  leave_one_out(out: number, rewards: number, n: number, groupSize: number): void;
  group_spreads(out: number, rewards: number, n: number, groupSize: number): void;
  subtract_baselines(out: number, rewards: number, baselines: number, n: number, groupSize: number): void;
  length_weighted_means(out: number, rewards: number, lengths: number, n: number, groupSize: number): void;
  best_minus_second(out: number, rewards: number, n: number, groupSize: number, scale: number, epsilon: number): void;
  process_advantages(
    out: number,
    values: number,
    ends: number,
    steps: number,
    tokens: number,
    rows: number,
    groupSize: number,
    scale: number,
    epsilon: number,
  ): void;
  gae(
    advantages: number,
    returns: number,
    rewards: number,
    values: number,
    offsets: number,
    mask: number,
    dones: number,
    lastValues: number,
    rows: number,
    gamma: number,
    lambda: number,
  ): void;
  discounted_returns(out: number, rewards: number, offsets: number, mask: number, rows: number, gamma: number): void;
  whiten(out: number, x: number, mask: number, n: number, ddof: number, shiftMean: number, epsilon: number): number;
}

let instance: HostExports | undefined;

/** The one instance; created at first use. */
export function host(): HostExports {
  instance ??= instantiate<HostExports>(base64);
  return instance;
}

/** One call's arrays, laid out one after another from the heap's start; valid until the next call on the module. */
export class Scratch {
  private top: number;
  private readonly module = host();

  constructor() {
    this.top = Math.ceil(this.module.heap_base() / 16) * 16;
  }

  /** Reserves `sizeBytes`, aligned to 16, and returns the address. */
  reserve(sizeBytes: number): number {
    const at = this.top;
    this.top += Math.ceil(sizeBytes / 16) * 16;
    ensureBytes(this.module.memory, this.top);
    return at;
  }

  f64(values: ArrayLike<number>): number {
    const at = this.reserve(values.length * 8);
    new Float64Array(this.module.memory.buffer, at, values.length).set(values);
    return at;
  }

  f32(values: ArrayLike<number>): number {
    const at = this.reserve(values.length * 4);
    new Float32Array(this.module.memory.buffer, at, values.length).set(values);
    return at;
  }

  u32(values: ArrayLike<number>): number {
    const at = this.reserve(values.length * 4);
    new Uint32Array(this.module.memory.buffer, at, values.length).set(values);
    return at;
  }

  /** 1 where the value is not 0. */
  flags(values: ArrayLike<number>): number {
    const at = this.reserve(values.length);
    const view = new Uint8Array(this.module.memory.buffer, at, values.length);
    for (let i = 0; i < values.length; i++) view[i] = values[i] !== 0 ? 1 : 0;
    return at;
  }

  takeF64(at: number, length: number): Float64Array<ArrayBuffer> {
    return new Float64Array(this.module.memory.buffer, at, length).slice();
  }

  takeF32(at: number, length: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.module.memory.buffer, at, length).slice();
  }

  takeU32(at: number, length: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.module.memory.buffer, at, length).slice();
  }
}
