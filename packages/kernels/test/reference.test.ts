/** The reference device as a device, and worked arithmetic for its forward formulas. */
import { describe, expect, it } from "vitest";
import { expectClose } from "../conformance/index";
import type { Dtype } from "../src/contract";
import type { TensorRef } from "../src/device";
import { DeviceError, OutOfMemoryError, ShapeError } from "../src/errors";
import { entryPoints, GATE_KINDS, ops } from "../src/ops/index";
import {
  computeReference,
  createReferenceDevice,
  implementations,
  type ReferenceDevice,
  threefry2x32,
  uniform,
} from "../src/reference/index";

const EXACT = { rtol: 1e-12, atol: 1e-12 };

function allocate(device: ReferenceDevice, shape: readonly number[], dtype: Dtype = "f32"): TensorRef {
  return { buffer: device.alloc(4 * shape.reduce((a, b) => a * b, 1)), byteOffset: 0, shape, dtype };
}

describe("the device", () => {
  it("implements every entry point and nothing else", () => {
    expect([...implementations.keys()].sort()).toEqual([...entryPoints.keys()].sort());
  });

  it("writes, copies, reads, and keeps f64", async () => {
    const device = createReferenceDevice();
    const [a, b, ids] = [allocate(device, [2, 2]), allocate(device, [4]), allocate(device, [2], "u32")];
    device.write(a, Float32Array.of(1, 2, 3, 4));
    device.copy(a, b);
    expect(await device.read(b)).toEqual(Float32Array.of(1, 2, 3, 4));
    device.write(ids, Uint32Array.of(7, 0xffffffff));
    expect(await device.read(ids)).toEqual(Uint32Array.of(7, 0xffffffff));
    device.writeF64(b, Float64Array.of(0.1, 1 / 3, 2, 3));
    expect(device.readF64(b)[1]).toBe(1 / 3);
    expect((await device.read(b))[1]).toBe(Math.fround(1 / 3));
    const window: TensorRef = { ...b, byteOffset: 8, shape: [2] };
    expect(await device.read(window)).toEqual(Float32Array.of(2, 3));
  });

  it("fills new memory with NaN", async () => {
    const device = createReferenceDevice();
    expect([...(await device.read(allocate(device, [3])))]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  it("counts", async () => {
    const device = createReferenceDevice();
    const [x, y] = [allocate(device, [4]), allocate(device, [4])];
    device.write(x, Float32Array.of(1, 2, 3, 4));
    for (let i = 0; i < 3; i++) device.dispatch(ops.fill.set, { tensors: { y }, scalars: { value: i } });
    device.dispatch(ops.accumulate.add, { tensors: { x, y } });
    expect(await device.read(y)).toEqual(Float32Array.of(3, 4, 5, 6));
    device.free(x.buffer);
    await device.sync();
    expect(device.counters).toEqual({
      dispatches: 4,
      submits: 4,
      pipelines: 2,
      readbacks: 1,
      readbackBytes: 16,
      uploadBytes: 16,
      liveBytes: 16,
      peakBytes: 32,
    });
    await device.destroy();
    expect(device.counters.liveBytes).toBe(0);
  });

  it("refuses freed and foreign buffers, wrong data, overlapping outputs and absurd sizes", async () => {
    const device = createReferenceDevice();
    const [x, y] = [allocate(device, [4]), allocate(device, [4])];
    const foreign = allocate(createReferenceDevice(), [4]);
    expect(() => device.dispatch(ops.accumulate.add, { tensors: { x: foreign, y } })).toThrow(DeviceError);
    device.free(x.buffer);
    expect(() => device.free(x.buffer)).toThrow(DeviceError);
    expect(() => device.dispatch(ops.accumulate.add, { tensors: { x, y } })).toThrow(
      `accumulate_add: buffer ${x.buffer.id} must be live and of this device, got one that is freed or foreign.`,
    );
    await expect(device.read(x)).rejects.toThrow(DeviceError);
    expect(() => device.write(y, Float32Array.of(1))).toThrow("write: the tensor holds 4 elements, got 1.");
    expect(() => device.write(y, new Uint32Array(4))).toThrow("write: data must be f32, got u32.");
    expect(() => device.write({ ...y, shape: [5] }, new Float32Array(5))).toThrow(ShapeError);
    expect(() => device.copy(y, allocate(device, [3]))).toThrow(ShapeError);
    expect(() => device.dispatch(ops.unary.forward, { tensors: { x: y, y }, scalars: { kind: 0, a: 1, b: 0 } })).toThrow(
      "unary_forward: `y` is written and must not overlap `x`, got overlapping views.",
    );
    expect(() => device.alloc(2 ** 40)).toThrow(OutOfMemoryError);
    expect(() => device.alloc(-4)).toThrow(DeviceError);
    expect(() => device.dispatch(ops.fill.set, { tensors: { y } })).toThrow(ShapeError);
  });
});

describe("worked arithmetic", () => {
  it("matmul: rows of x times rows of w, plus bias and addend", () => {
    const { y } = computeReference(
      ops.matmul.forward,
      { x: [1, 2, 3, 4], w: [5, 6, 7, 8, 9, 10], bias: [1, 10, 100], addend: [0.5, 0, 0, 0, 0, 0.25] },
      { M: 2, K: 2, N: 3 },
    );
    expect([...y!]).toEqual([18.5, 33, 129, 40, 63, 167.25]);
  });

  it("rms norm of (3, 4): mean square 12.5", () => {
    const { y, rstd } = computeReference(ops.rmsNorm.forward, { x: [3, 4], w: [2, 10] }, { N: 1, C: 2, eps: 0 });
    expectClose(rstd!, [1 / Math.sqrt(12.5)], EXACT);
    expectClose(y!, [6 / Math.sqrt(12.5), 40 / Math.sqrt(12.5)], EXACT);
  });

  it("layer norm of (1, 3): mean 2, population variance 1", () => {
    const { y, mean, rstd } = computeReference(ops.layerNorm.forward, { x: [1, 3], w: [2, 5], b: [0.5, 0] }, { N: 1, C: 2, eps: 0 });
    expect([...mean!, ...rstd!, ...y!]).toEqual([2, 1, -1.5, 5]);
  });

  it("head norm touches query and key heads, each with its weight", () => {
    const { y, rstd } = computeReference(
      ops.headNorm.forward,
      { x: [3, 4, 6, 8, 7, 9], wq: [1, 1], wk: [1, 2] },
      { N: 1, H: 1, K: 1, A: 2, B: 2, eps: 0 },
    );
    const r = Math.sqrt(12.5);
    expectClose(rstd!, [1 / r, 1 / (2 * r)], EXACT);
    expectClose(y!, [3 / r, 4 / r, 3 / r, 8 / r, 7, 9], EXACT);
  });

  it("eps is added to the mean square, before the root", () => {
    const rms = computeReference(ops.rmsNorm.forward, { x: [3, 4], w: [1, 1] }, { N: 1, C: 2, eps: 3.5 });
    const layer = computeReference(ops.layerNorm.forward, { x: [1, 3], w: [1, 1], b: [0, 0] }, { N: 1, C: 2, eps: 3 });
    const head = computeReference(
      ops.headNorm.forward,
      { x: [3, 4, 0, 0, 0, 0], wq: [1, 1], wk: [1, 1] },
      { N: 1, H: 1, K: 1, A: 2, B: 2, eps: 3.5 },
    );
    expectClose([rms.rstd![0]!, layer.rstd![0]!, head.rstd![0]!, head.rstd![1]!], [1 / 4, 1 / 2, 1 / 4, 1 / Math.sqrt(3.5)], EXACT);
  });

  it("head norm takes the width of all query heads, and that of all key heads", () => {
    const { y, rstd } = computeReference(
      ops.headNorm.forward,
      { x: [1, 2, 3, 4, 3, 4, 7, 9], wq: [1, 2, 3, 4], wk: [10, 20] },
      { N: 1, H: 1, K: 1, A: 4, B: 2, eps: 0 },
    );
    const [q, k] = [1 / Math.sqrt(7.5), 1 / Math.sqrt(12.5)];
    expectClose(rstd!, [q, k], EXACT);
    expectClose(y!, [q, 4 * q, 9 * q, 16 * q, 30 * k, 80 * k, 7, 9], EXACT);
  });

  it("rope turns by 90 degrees and back, and leaves other channels alone", () => {
    const rotate = (x: ArrayLike<number>, direction: number) =>
      computeReference(
        ops.rope.rotate,
        { cos: [1, 0], sin: [0, 1], positions: [1], x },
        { T: 2, R: 1, N: 1, P: x.length, heads: x.length > 3 ? 2 : 1, D: x.length > 3 ? 3 : 2, direction },
      ).x!;
    expect([...rotate([5, 7, 9], 1)]).toEqual([-7, 5, 9]);
    expect([...rotate(rotate([5, 7, 9], 1), -1)]).toEqual([5, 7, 9]);
    // Two heads of three channels, of which the first two turn.
    expect([...rotate([5, 7, 9, 1, 2, 3, 4], 1)]).toEqual([-7, 5, 9, -2, 1, 3, 4]);
  });

  it("attention: equal scores average the values; a sequence never sees another; heads are grouped", () => {
    // Two query heads on one key head, D = 1: rows are [q0, q1, k, v].
    const qkv = [0, 1, 1, 2, 0, 1, 1, 4, 0, 1, 1, 100];
    const { o, lse } = computeReference(
      ops.attention.forward,
      { qkv, offsets: [0, 2, 3] },
      { N: 3, S: 2, H: 2, K: 1, D: 1, scale: 3, cap: 0, window: 0 },
    );
    expectClose(o!, [2, 2, 3, 3, 100, 100], EXACT);
    expectClose(lse!, [0, 3, Math.log(2), 3 + Math.log(2), 0, 3], EXACT);
  });

  it("attention: the second key weighs e times the first", () => {
    const { o } = computeReference(
      ops.attention.forward,
      { qkv: [1, 0, 0, 1, 1, 1], offsets: [0, 2] },
      { N: 2, S: 1, H: 1, K: 1, D: 1, scale: 1, cap: 0, window: 0 },
    );
    expectClose(o!, [0, Math.E / (1 + Math.E)], EXACT);
  });

  it("attention: a window of two sees the row and the one before; a cap bounds scores by its tanh", () => {
    // One head of one channel: rows are [q, k, v].
    const qkv = [1, 0, 4, 1, 0, 8, 1, 0, 16];
    const values = { N: 3, S: 1, H: 1, K: 1, D: 1, scale: 1 };
    const windowed = computeReference(ops.attention.forward, { qkv, offsets: [0, 3] }, { ...values, cap: 0, window: 2 });
    expectClose(windowed.o!, [4, 6, 12], EXACT);
    const alone = computeReference(ops.attention.forward, { qkv, offsets: [0, 3] }, { ...values, cap: 0, window: 1 });
    expectClose(alone.o!, [4, 8, 16], EXACT);
    const capped = computeReference(
      ops.attention.forward,
      { qkv: [1, 0, 0, 3, 5, 1], offsets: [0, 2] },
      { ...values, N: 2, cap: 2, window: 0 },
    );
    const score = 2 * Math.tanh(15 / 2);
    expectClose(capped.o!, [0, Math.exp(score) / (1 + Math.exp(score))], EXACT);
    expectClose(capped.lse!, [0, Math.log(1 + Math.exp(score))], EXACT);
  });

  it.each([
    { scale: 0.7, cap: 0, window: 0 },
    { scale: 0.7, cap: 1.1, window: 0 },
    { scale: 0.7, cap: 0, window: 3 },
    { scale: 0.7, cap: 0.4, window: 2 },
  ])("attention over the cache equals attention over rows: %o", (limits) => {
    const [H, K, D, length] = [4, 2, 3, 5];
    const row = (H + 2 * K) * D;
    const qkv = Float64Array.from({ length: length * row }, (_, i) => Math.sin(i * i));
    const { o } = computeReference(ops.attention.forward, { qkv, offsets: [0, length] }, { N: length, S: 1, H, K, D, ...limits });
    const values = { N: length, H, K, D, L: 12, block: 2, B: 3, ...limits };
    const tables = [4, 0, 3];
    const slots = Array.from({ length }, (_, t) => tables[t >> 1]! * 2 + (t & 1));
    const { cache } = computeReference(ops.kvCache.write, { qkv, slots, cache: new Float64Array(12 * 2 * K * D).fill(Number.NaN) }, values);
    const last = computeReference(
      ops.kvCache.attend,
      { qkv: qkv.subarray((length - 1) * row), cache, tables, lengths: [length] },
      { ...values, N: 1 },
    );
    expectClose(last.o!, o!.subarray((length - 1) * H * D), EXACT);
  });

  it("gated activation: silu(0) = 0, large gates pass", () => {
    const { y } = computeReference(ops.gatedActivation.forward, { gu: [0, 100, 1, 5, 3, 2] }, { N: 1, F: 3, kind: GATE_KINDS.silu });
    expectClose(y!, [0, 300, (1 / (1 + Math.exp(-1))) * 2], EXACT);
  });

  it("token-logprob: equal logits give -ln V, entropy ln V; two logits give a sigmoid", () => {
    const forward = (hidden: number[], head: number[], target: number, inverse_temperature: number, cap = 0) =>
      computeReference(
        ops.tokenLogprob.forward,
        { hidden, head, targets: [target] },
        { N: 1, C: 1, V: head.length, inverse_temperature, cap },
      );
    const flat = forward([3], [0, 0, 0, 0], 2, 1);
    expectClose([flat.logp![0]!, flat.entropy![0]!, flat.lse![0]!, flat.hit![0]!], [-Math.log(4), Math.log(4), Math.log(4), 1], EXACT);
    const two = forward([1], [0, 2], 0, 0.5);
    const p = 1 / (1 + Math.E);
    expectClose(
      [two.logp![0]!, two.entropy![0]!, two.lse![0]!, two.hit![0]!],
      [Math.log(p), -p * Math.log(p) - (1 - p) * Math.log(1 - p), Math.log(1 + Math.E), 0],
      EXACT,
    );
    // The logit 8 becomes 2 tanh(4), and then the temperature halves it.
    const capped = forward([4], [0, 2], 1, 0.5, 2);
    const z = Math.tanh(4);
    expectClose([capped.logp![0]!, capped.lse![0]!], [z - Math.log(1 + Math.exp(z)), Math.log(1 + Math.exp(z))], EXACT);
  });

  it("AdamW: the first step is lr in the direction of the sign, after decay", () => {
    const { p, m, v } = computeReference(
      ops.adamw.step,
      { g: [8, -2], stats: [10, 0.5], p: [1, 1], m: [0, 0], v: [0, 0] },
      { N: 2, Q: 2, lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 0, weight_decay: 0.2, correction1: 0.1, correction2: 0.01 },
    );
    expectClose(p!, [1 - 0.02 - 0.1, 1 - 0.02 + 0.1], EXACT);
    expectClose(m!, [0.4, -0.1], EXACT);
    expectClose(v!, [0.16, 0.01], EXACT);
  });

  it("AdamW: eps is added to the root", () => {
    const { p } = computeReference(
      ops.adamw.step,
      { g: [1], stats: [1, 1], p: [0], m: [1], v: [1] },
      { N: 1, Q: 2, lr: 1, beta1: 0.5, beta2: 0.5, eps: 2, weight_decay: 0, correction1: 1, correction2: 0.25 },
    );
    expectClose(p!, [-1 / (2 + 2)], EXACT);
  });

  it("clips as torch does", () => {
    const clip = (sum: number, max_norm: number) => [...computeReference(ops.adamw.clip, { sum: [sum] }, { O: 1, Q: 2, max_norm }).stats!];
    expect(clip(25, 1)).toEqual([5, 1 / (5 + 1e-6)]);
    expect(clip(25, 10)).toEqual([5, 1]);
    expect(clip(25, 0)).toEqual([5, 1]);
    expect(clip(Number.POSITIVE_INFINITY, 1)).toEqual([Number.POSITIVE_INFINITY, 0]);
    expect(clip(Number.NaN, 0)).toEqual([Number.NaN, 0]);
  });

  it("Threefry-2x32-20 gives Random123's known answers", () => {
    const ones = 0xffffffff;
    expect(threefry2x32([0, 0], [0, 0])).toEqual([0x6b200159, 0x99ba4efe]);
    expect(threefry2x32([ones, ones], [ones, ones])).toEqual([0x1cb996fc, 0xbb002be7]);
    expect(threefry2x32([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3])).toEqual([0xc4923a9c, 0x483df7a0]);
    expect(uniform([0, 0], [0, 0])).toBe(0x6b2001 / 2 ** 24);
  });

  it("takes the first token at which the cumulative probability exceeds u", () => {
    const draw = (probabilities: number[]) =>
      computeReference(
        ops.sample.forward,
        { logits: probabilities.map(Math.log), settings: [1, 0, 1, 0, 1], keys: [0, 0, 0], positions: [0] },
        { N: 1, V: 3, W: 1 },
      ).tokens![0];
    // u is 0.41846 for key 0 and counter 0.
    expect([draw([0.42, 0.01, 0.57]), draw([0.41, 0.02, 0.57]), draw([0.4, 0.01, 0.59])]).toEqual([0, 1, 2]);
  });

  it("samples as often as the probabilities say", () => {
    const [N, V] = [20_000, 3];
    const logits = Float64Array.from({ length: N * V }, (_, i) => Math.log([0.2, 0.5, 0.3][i % V]!));
    const { tokens, logp } = computeReference(
      ops.sample.forward,
      {
        logits,
        settings: Array.from({ length: N }, () => [1, 0, 1, 0, 1]).flat(),
        keys: Array.from({ length: N }, (_, n) => [3, 4, n]).flat(),
        positions: new Float64Array(N),
      },
      { N, V, W: 1 },
    );
    const counts = [0, 1, 2].map((token) => tokens!.filter((t) => t === token).length / N);
    // Three standard deviations of a frequency over 20,000 draws are 0.0106.
    counts.forEach((share, token) => {
      expect(Math.abs(share - [0.2, 0.5, 0.3][token]!)).toBeLessThan(0.0106);
    });
    expect(logp![0]).toBeCloseTo(Math.log([0.2, 0.5, 0.3][tokens![0]!]!), 12);
  });

  it("marks the chosen token, and a penalty keeps a seen one away from greedy", () => {
    const greedy = (seen: number[]) =>
      computeReference(
        ops.sample.forward,
        { logits: [...new Array(33).fill(0), 2, 1.9], settings: [0, 0, 1, 0, 1.5], keys: [0, 0, 0], positions: [0], seen },
        { N: 1, V: 35, W: 2 },
      );
    const first = greedy([0, 0]);
    expect([...first.tokens!, ...first.seen!]).toEqual([33, 0, 2]);
    expect([...greedy([...first.seen!]).tokens!]).toEqual([34]);
  });

  it("draws among the allowed tokens alone, with the log-probability of all", () => {
    const probabilities = [0.5, 0.3, 0.2];
    const draw = (temperature: number, allowed: number) =>
      computeReference(
        ops.sample.forward,
        { logits: probabilities.map(Math.log), settings: [temperature, 0, 1, 0, 1], keys: [0, 0, 0], positions: [0], allowed: [allowed] },
        { N: 1, V: 3, W: 1 },
      );
    expect([draw(0, 0b111), draw(0, 0b110), draw(0, 0b100)].map(({ tokens }) => tokens![0])).toEqual([0, 1, 2]);
    // u is 0.41846: below 0.3 / 0.5 of tokens 1 and 2, above 0 of 0 and 2 only where token 0's share, 5/7, is not.
    expect([draw(1, 0b110), draw(1, 0b101), draw(1, 0b100)].map(({ tokens }) => tokens![0])).toEqual([1, 0, 2]);
    expect(draw(1, 0b100).logp![0]).toBeCloseTo(Math.log(0.2), 12);
  });
});
