/** The contract notation, what it refuses, the checks before a dispatch, and the parameter block. */
import { describe, expect, it } from "vitest";
import { bind, packParams } from "../src/bind";
import { defineOp, type EntrySpec, MAX_STORAGE_BUFFERS } from "../src/contract";
import type { DispatchArgs, TensorRef } from "../src/device";
import { ContractError, ShapeError } from "../src/errors";
import { entryPoints, ops } from "../src/ops/index";

type Notation = Omit<EntrySpec, "flops">;

const define = (entry: Notation) => defineOp({ forward: { flops: () => 0, ...entry } }).forward;

/** A tensor that owns exactly the memory it needs, unless `byteLength` says otherwise. */
function tensor(shape: readonly number[], dtype: "f32" | "u32" = "f32", byteLength = 4 * shape.reduce((a, b) => a * b, 1)): TensorRef {
  return { buffer: { id: 0, byteLength }, byteOffset: 0, shape, dtype };
}

describe("notation", () => {
  it("parses roles, dtypes, optional and accumulating tensors in key order", () => {
    const entry = define({
      name: "demo",
      in: { x: "(N, C)", "bias?": "f32 (C)", ids: "u32 (N)" },
      inout: { cache: "(L, 2 * C)" },
      out: { y: "(N, C)", dw: "+= (C)" },
      scalars: { eps: "f32", kind: "u32" },
    });
    expect(entry.tensors.map((t) => [t.name, t.role, t.dtype, t.optional, t.accumulates, t.shapeText])).toEqual([
      ["x", "in", "f32", false, false, "(N, C)"],
      ["bias", "in", "f32", true, false, "(C)"],
      ["ids", "in", "u32", false, false, "(N)"],
      ["cache", "inout", "f32", false, false, "(L, 2 * C)"],
      ["y", "out", "f32", false, false, "(N, C)"],
      ["dw", "out", "f32", false, true, "(C)"],
    ]);
  });

  it("lays parameters out as dims in order of appearance, scalars, flags", () => {
    expect(ops.matmul.forward.params.map((p) => [p.name, p.type, p.kind])).toEqual([
      ["M", "u32", "dim"],
      ["K", "u32", "dim"],
      ["N", "u32", "dim"],
      ["has_bias", "u32", "flag"],
      ["has_addend", "u32", "flag"],
    ]);
    // Letters that are scalars are not dims.
    expect(ops.attention.forward.params.map((p) => p.name)).toEqual(["N", "S", "H", "K", "D", "scale", "cap", "window"]);
    expect(ops.sample.forward.params.map((p) => p.name)).toEqual(["N", "V", "W", "has_allowed", "has_seen"]);
  });

  it("parses sums of products of letters and integers", () => {
    const [qkv] = ops.attention.forward.tensors;
    expect(qkv?.axes.map((axis) => axis.terms)).toEqual([
      [{ coefficient: 1, letters: ["N"] }],
      [
        { coefficient: 1, letters: ["H", "D"] },
        { coefficient: 2, letters: ["K", "D"] },
      ],
    ]);
    expect(qkv?.axes.map((axis) => axis.letter)).toEqual(["N", undefined]);
  });

  it.each<[string, Notation, RegExp]>([
    [
      "a missing parenthesis",
      { name: "bad", in: { x: "(N" } },
      /^bad: tensor `x` must be written "\[\+= \]\[dtype \]\(A, B\)", got "\(N"\.$/,
    ],
    ["an unknown dtype", { name: "bad", in: { x: "f64 (N)" } }, /must be written/],
    [
      "a long dimension name",
      { name: "bad", in: { x: "(NN)" } },
      /^bad: an axis is a sum of products of letters and integers, got "NN"\.$/,
    ],
    ["a difference", { name: "bad", in: { x: "(N - 1)" } }, /an axis is a sum of products/],
    ["an input that accumulates", { name: "bad", in: { x: "+= (N)" } }, /^bad: only outputs accumulate, but `x` is in\.$/],
    ["a letter that no required tensor fixes", { name: "bad", in: { x: "(2 * N)" } }, /^bad: dimension N must stand alone/],
    [
      "a letter that only an optional tensor fixes",
      { name: "bad", in: { "x?": "(N)" }, out: { y: "(2 * N)" } },
      /dimension N must stand alone/,
    ],
  ])("refuses %s", (_, spec, message) => {
    expect(() => define(spec)).toThrow(ContractError);
    expect(() => define(spec)).toThrow(message);
  });

  it("refuses a ninth tensor", () => {
    const tensors = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, "(N)"]));
    expect(define({ name: "full", in: tensors(MAX_STORAGE_BUFFERS) }).tensors.length).toBe(8);
    expect(() => define({ name: "over", in: tensors(8), out: { y: "(N)" } })).toThrow(
      "over: an entry point binds at most 8 tensors, got 9. Split it.",
    );
  });
});

describe("the ops", () => {
  it("have unique entry points, at most 8 tensors each, and something to write", () => {
    const all = Object.values(ops).flatMap((op) => Object.values(op));
    expect(entryPoints.size).toBe(all.length);
    for (const entry of all) {
      expect(entry.tensors.length, entry.name).toBeLessThanOrEqual(MAX_STORAGE_BUFFERS);
      expect(
        entry.tensors.some((t) => t.role !== "in"),
        entry.name,
      ).toBe(true);
      expect(new Set(entry.params.map((p) => p.name)).size, entry.name).toBe(entry.params.length);
    }
  });

  it("accumulate parameter gradients and write activation gradients", () => {
    const accumulating = [...entryPoints.values()].flatMap((entry) => entry.tensors.filter((t) => t.accumulates).map((t) => t.name));
    expect(new Set(accumulating)).toEqual(new Set(["dw", "db", "dwq", "dwk", "dtable", "dhead", "sum", "y"]));
    const written = [...entryPoints.values()].flatMap((entry) => entry.tensors.filter((t) => t.role === "out" && !t.accumulates));
    expect(written.filter((t) => ["dw", "db", "dwq", "dwk", "dtable", "dhead"].includes(t.name))).toEqual([]);
  });
});

describe("bind", () => {
  const { forward } = ops.matmul;
  const good = { x: tensor([2, 3]), w: tensor([5, 3]), y: tensor([2, 5]) };
  const bindMatmul = (tensors: DispatchArgs["tensors"]) => bind(forward, { tensors: { ...good, ...tensors } });

  it("resolves dims and flags", () => {
    expect(bindMatmul({}).values).toEqual({ M: 2, K: 3, N: 5, has_bias: 0, has_addend: 0 });
    expect(bindMatmul({ bias: tensor([5]) }).values).toMatchObject({ has_bias: 1, has_addend: 0 });
    expect(bindMatmul({ bias: tensor([5]) }).tensors.map((t) => t?.shape)).toEqual([[2, 3], [5, 3], [5], undefined, [2, 5]]);
  });

  it.each<[string, DispatchArgs["tensors"], string]>([
    ["a dimension that disagrees", { w: tensor([512, 512]) }, "matmul_forward: `w` must be (N, K), got (512, 512): K is 3 in `x`."],
    ["an output of the wrong size", { y: tensor([2, 4]) }, "matmul_forward: `y` must be (M, N), got (2, 4): N is 5 in `w`."],
    ["an optional tensor of the wrong size", { bias: tensor([4]) }, "matmul_forward: `bias` must be (N), got (4): N is 5 in `w`."],
    ["the wrong number of axes", { x: tensor([6]) }, "matmul_forward: `x` must be (M, K), got (6): it has 1 axes."],
    ["a missing tensor", { x: undefined }, "matmul_forward: tensor `x` (M, K) must be given, got nothing."],
    ["the wrong dtype", { x: tensor([2, 3], "u32") }, "matmul_forward: `x` must be f32, got u32."],
    [
      "a view that leaves its buffer",
      { x: tensor([2, 3], "f32", 20) },
      "matmul_forward: `x` must lie inside its buffer of 20 bytes, got an end at 24.",
    ],
  ])("refuses %s", (_, tensors, message) => {
    expect(() => bindMatmul(tensors)).toThrow(ShapeError);
    expect(() => bindMatmul(tensors)).toThrow(message);
  });

  const attention = (scalars: Record<string, number>, qkv = tensor([3, 16])) =>
    bind(ops.attention.forward, {
      tensors: { qkv, offsets: tensor([2], "u32"), o: tensor([3, 8]), lse: tensor([3, 2]) },
      scalars: { S: 1, H: 2, K: 1, D: 4, scale: 0.5, cap: 0, window: 0, ...scalars },
    });

  it("evaluates sizes made of scalars", () => {
    expect(attention({}).values).toEqual({ N: 3, S: 1, H: 2, K: 1, D: 4, scale: 0.5, cap: 0, window: 0 });
    expect(() => attention({ D: 5 })).toThrow(
      "attention_forward: `qkv` must be (N, H * D + 2 * K * D), got (3, 16): H * D + 2 * K * D is 20.",
    );
    expect(() => attention({ S: 2 })).toThrow("attention_forward: `offsets` must be (S + 1), got (2): S + 1 is 3.");
  });

  it("refuses missing and malformed scalars", () => {
    expect(() => bind(ops.fill.set, { tensors: { y: tensor([1]) } })).toThrow("fill_set: scalar `value` must be given, got nothing.");
    for (const H of [1.5, -1, 2 ** 32, Number.NaN]) {
      expect(() => attention({ H })).toThrow(`attention_forward: scalar \`H\` must be an unsigned 32-bit integer, got ${H}.`);
    }
  });
});

describe("packParams", () => {
  it("writes u32 and f32 words in layout order, padded to 16 bytes", () => {
    const call = bind(ops.rmsNorm.forward, {
      tensors: { x: tensor([2, 3]), w: tensor([3]), y: tensor([2, 3]), rstd: tensor([2]) },
      scalars: { eps: 1e-5 },
    });
    const bytes = packParams(call);
    expect(bytes.byteLength).toBe(16);
    expect([...new Uint32Array(bytes, 0, 2)]).toEqual([2, 3]);
    expect(new Float32Array(bytes)[2]).toBe(Math.fround(1e-5));
    expect(new Uint32Array(bytes)[3]).toBe(0);
  });

  it("grows in steps of 16 bytes", () => {
    const call = bind(ops.matmul.forward, { tensors: { x: tensor([1, 1]), w: tensor([1, 1]), y: tensor([1, 1]), bias: tensor([1]) } });
    expect([...new Uint32Array(packParams(call))]).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
  });

  it("keeps all 32 bits of a scalar", () => {
    const call = bind(ops.dropout.apply, {
      tensors: { x: tensor([1]), y: tensor([1]) },
      scalars: { rate: 0.5, seed_lo: 0xfffffffe, seed_hi: 1, stream: 0 },
    });
    const seedAt = ops.dropout.apply.params.findIndex((p) => p.name === "seed_lo");
    expect(new Uint32Array(packParams(call))[seedAt]).toBe(0xfffffffe);
  });
});
