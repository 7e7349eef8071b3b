/// <reference types="node" />
/** safetensors: what is written is read back, and nothing malformed gets past the header. */
import { readFileSync } from "node:fs";
import { randomInt } from "@trimtab/kernels";
import { describe, expect, it } from "vitest";
import { narrowBf16, narrowF16, widenBf16, widenF16 } from "../src/checkpoint/half";
import { SafetensorsFile } from "../src/checkpoint/safetensors";
import { type WrittenTensor, writeSafetensors } from "../src/checkpoint/safetensors-writer";
import { CheckpointError } from "../src/errors";
import { at, bytesOf, memorySource, safetensorsBytes } from "./fixture-files";

const open = (bytes: Uint8Array, name = "a.safetensors") => SafetensorsFile.open(memorySource(name, bytes));

/** A header for F32 vectors by name: [first byte, end byte]. */
const header = (tensors: Record<string, unknown>) => JSON.stringify(tensors);
const f32 = (shape: unknown, ...offsets: number[]) => ({ dtype: "F32", shape, data_offsets: offsets });

async function rejection(bytes: Uint8Array): Promise<CheckpointError> {
  const error: unknown = await open(bytes).then(
    () => undefined,
    (e) => e,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  return error as CheckpointError;
}

describe("writing and reading", () => {
  const tensors: WrittenTensor[] = [
    { name: "half", dtype: "F16", shape: [3], data: () => Float32Array.of(1, -2.5, 65504) },
    { name: "weights", dtype: "F32", shape: [2, 2], data: async () => Float32Array.of(0.1, -0, Number.MAX_VALUE, 1e-45) },
    { name: "brain", dtype: "BF16", shape: [1, 1], data: () => Float32Array.of(3.140625) },
    { name: "ids", dtype: "U32", shape: [2], data: () => Uint32Array.of(7, 0xffffffff) },
    { name: 'naïve " \u2028 名', dtype: "F32", shape: [], data: () => Float32Array.of(5) },
    { name: "empty", dtype: "F32", shape: [0, 4], data: () => new Float32Array() },
  ];

  it("gives back every value and name, aligned", async () => {
    const bytes = await bytesOf(writeSafetensors(tensors, "a.safetensors"));
    const file = await open(bytes);
    expect([...file.tensors.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
    expect(file.metadata).toEqual({ format: "pt" });
    for (const { offset, dtype } of file.tensors.values()) expect(offset % (dtype === "F16" || dtype === "BF16" ? 2 : 8) <= 4).toBe(true);
    expect(await file.readFloats("weights")).toEqual(Float32Array.of(0.1, -0, Number.POSITIVE_INFINITY, 1e-45));
    expect(await file.readFloats("half")).toEqual(Float32Array.of(1, -2.5, 65504));
    expect(await file.readFloats("brain")).toEqual(Float32Array.of(3.140625));
    expect(await file.readWords("ids")).toEqual(Uint32Array.of(7, 0xffffffff));
    expect(await file.readFloats('naïve " \u2028 名')).toEqual(Float32Array.of(5));
    expect((await file.readFloats("empty")).length).toBe(0);
    expect(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) % 8).toBe(0);
  });

  it("keeps every bit of f32", async () => {
    const words = Uint32Array.of(0x7fc00001, 0xff800000, 1, 0x80000000, 0x3f800001, 0x7f800001);
    const values = new Float32Array(words.buffer);
    const file = await open(await bytesOf(writeSafetensors([{ name: "w", dtype: "F32", shape: [6], data: () => values }], "a")));
    expect(new Uint32Array((await file.readFloats("w")).buffer.slice(-24))).toEqual(words);
  });

  it("refuses values that do not fill the shape", async () => {
    const wrong: WrittenTensor = { name: "w", dtype: "F32", shape: [3], data: () => Float32Array.of(1) };
    await expect(bytesOf(writeSafetensors([wrong], "a.safetensors"))).rejects.toThrow(/"w" must hold 3 values.*got 1/);
  });

  it("reads a published file of every supported type", async () => {
    for (const name of ["gpt2", "llama-tied"]) {
      const bytes = readFileSync(at(`fixtures/models/${name}/model.safetensors`));
      const log = { open: 0, largest: 0 };
      const file = await SafetensorsFile.open(memorySource("model.safetensors", bytes, log));
      const largest = Math.max(...[...file.tensors.values()].map(({ byteLength }) => byteLength));
      for (const [tensor, { shape }] of file.tensors) {
        const values = await file.readFloats(tensor);
        expect(values.length).toBe(shape.reduce((a, b) => a * b, 1));
        expect(values.every(Number.isFinite)).toBe(true);
      }
      await file.close();
      expect(log).toEqual({ open: 0, largest: Math.max(largest, new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)) });
    }
  });
});

describe("sixteen-bit floats", () => {
  const every = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const single = new Float32Array(1);
  const bits = new Uint32Array(single.buffer);
  const isNan16 = (half: number, infinity: number) => (half & 0x7fff) > infinity;

  it.each([
    ["F16", widenF16, narrowF16, 0x7c00],
    ["BF16", widenBf16, narrowBf16, 0x7f80],
  ] as const)("%s: every value survives widening and narrowing", (_, widen, narrow, infinity) => {
    const back = narrow(widen(every));
    every.forEach((half, i) => {
      if (isNan16(half, infinity)) expect(isNan16(back[i] as number, infinity)).toBe(true);
      else if (back[i] !== half) throw new Error(`${half} became ${back[i]}`);
    });
  });

  it("F16 means sign, exponent and fraction", () => {
    const value = (half: number) => widenF16(Uint16Array.of(half))[0];
    expect([0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x8000, 0x7c00, 0xfc00].map(value)).toEqual([
      1,
      -2,
      65504,
      2 ** -24,
      2 ** -14,
      -0,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
  });

  it.each([
    ["F16", widenF16, narrowF16, 0x7bff],
    ["BF16", widenBf16, narrowBf16, 0x7f7f],
  ] as const)("%s: what lies between rounds to nearest, ties to even", (_, widen, narrow, last) => {
    const wide = widen(every);
    for (let half = 0; half < last; half++) {
      const low = wide[half] as number;
      const high = wide[half + 1] as number;
      const middle = (low + high) / 2;
      single[0] = middle;
      if (single[0] !== middle) continue;
      const below = Float32Array.of(0);
      const neighbours = new Uint32Array(below.buffer);
      neighbours[0] = (bits[0] as number) - 1;
      const above = Float32Array.of(0);
      new Uint32Array(above.buffer)[0] = (bits[0] as number) + 1;
      const got = [...narrow(Float32Array.of(below[0] as number, middle, above[0] as number, -middle))];
      const even = half % 2 === 0 ? half : half + 1;
      const expected = [half, even, half + 1, even | 0x8000];
      if (got.some((g, i) => g !== expected[i])) throw new Error(`round ${half}: got ${got}, expected ${expected}`);
    }
    expect([...narrow(Float32Array.of(3.4e38, -3.4e38))].map((h) => h & 0x7fff)).toEqual(
      last === 0x7bff ? [0x7c00, 0x7c00] : [0x7f80, 0x7f80],
    );
  });
});

describe("malformed files", () => {
  const eight = new Uint8Array(8);

  it.each<[string, Uint8Array, RegExp, string?]>([
    ["an empty file", new Uint8Array(), /at least 10 bytes, got 0/],
    ["a file shorter than its length", Uint8Array.of(2, 0, 0, 0), /at least 10 bytes, got 4/],
    ["a length beyond the file", safetensorsBytes("{}").map((b, i) => (i === 7 ? 255 : b)), /header length must be/],
    ["a length of zero", safetensorsBytes("{}").map((b, i) => (i === 0 ? 0 : b)), /header length must be.*got 0/],
    ["no JSON", safetensorsBytes("{nope"), /must be JSON/],
    ["a JSON list", safetensorsBytes("[]"), /must hold a JSON object, got \[\]/],
    ["an entry that is no object", safetensorsBytes('{"w":3}'), /"w" must be an object, got 3/, "w"],
    ["metadata that is no object", safetensorsBytes('{"__metadata__":"x"}'), /__metadata__ must be an object/],
    [
      "an unknown dtype",
      safetensorsBytes('{"w":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}', eight),
      /dtype of tensor "w".*got "F99"/,
      "w",
    ],
    ["a dtype from Object.prototype", safetensorsBytes('{"w":{"dtype":"toString","shape":[2],"data_offsets":[0,8]}}', eight), /dtype/, "w"],
    ["no dtype", safetensorsBytes('{"w":{"shape":[2],"data_offsets":[0,8]}}', eight), /dtype.*got nothing/, "w"],
    ["a negative size", safetensorsBytes(header({ w: f32([-2], 0, 8) }), eight), /shape of tensor "w"/, "w"],
    ["a fractional size", safetensorsBytes(header({ w: f32([0.5], 0, 8) }), eight), /shape of tensor "w"/, "w"],
    ["a shape that is no list", safetensorsBytes(header({ w: f32("2", 0, 8) }), eight), /shape of tensor "w"/, "w"],
    [
      "a shape whose product overflows",
      safetensorsBytes(header({ w: f32([2 ** 40, 2 ** 40], 0, 8) }), eight),
      /data_offsets of tensor "w"/,
      "w",
    ],
    ["offsets that do not fit the shape", safetensorsBytes(header({ w: f32([3], 0, 8) }), eight), /must be 12 bytes apart/, "w"],
    ["offsets the wrong way round", safetensorsBytes(header({ w: f32([2], 8, 0) }), eight), /data_offsets of tensor "w"/, "w"],
    ["three offsets", safetensorsBytes(header({ w: f32([2], 0, 4, 8) }), eight), /data_offsets of tensor "w"/, "w"],
    ["an overlap", safetensorsBytes(header({ v: f32([1], 0, 4), w: f32([1], 2, 6), x: f32([1], 4, 8) }), eight), /"w".*overlaps/, "w"],
    ["two tensors in one place", safetensorsBytes(header({ v: f32([2], 0, 8), w: f32([2], 0, 8) }), eight), /"w".*overlaps/, "w"],
    ["a hole", safetensorsBytes(header({ w: f32([1], 4, 8) }), eight), /"w".*leaves a hole/, "w"],
    ["bytes after the last tensor", safetensorsBytes(header({ w: f32([1], 0, 4) }), eight), /Bytes follow the last tensor/, "w"],
    ["a truncated tensor", safetensorsBytes(header({ w: f32([4], 0, 16) }), eight), /truncated/, "w"],
    [
      "a name twice",
      safetensorsBytes(`{"w":${JSON.stringify(f32([1], 0, 4))},"w":${JSON.stringify(f32([1], 4, 8))}}`, eight),
      /"w" twice/,
      "w",
    ],
    [
      "a name twice, once escaped",
      safetensorsBytes(`{"w":${JSON.stringify(f32([1], 0, 4))},"\\u0077":${JSON.stringify(f32([1], 4, 8))}}`, eight),
      /"w" twice/,
      "w",
    ],
    ["a field twice", safetensorsBytes('{"w":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}', eight), /"dtype" twice/],
  ])("%s", async (_, bytes, message, tensor) => {
    const error = await rejection(bytes);
    expect(error.message).toMatch(message);
    expect(error.file).toBe("a.safetensors");
    if (tensor) expect(error.tensor).toBe(tensor);
  });

  it("accepts names that look like structure", async () => {
    const name = '{"a":[1,"b"],\\';
    const file = await open(safetensorsBytes(header({ [name]: f32([1], 0, 4), __proto__x: f32([1], 4, 8) }), eight));
    expect([...file.tensors.keys()]).toEqual([name, "__proto__x"]);
  });

  it("names tensors that are asked for and cannot be had", async () => {
    const file = await open(safetensorsBytes('{"w":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}', eight));
    await expect(file.readFloats("w")).rejects.toThrow(/"w" must be F32, F16, BF16, got I64/);
    await expect(file.readFloats("v")).rejects.toThrow(/"v" must be in the file/);
    expect((await file.readBytes("w")).length).toBe(8);
  });

  it("closes the source of a file it refuses", async () => {
    const log = { open: 0, largest: 0 };
    await expect(SafetensorsFile.open(memorySource("a", safetensorsBytes("[]"), log))).rejects.toThrow(CheckpointError);
    expect(log.open).toBe(0);
  });
});

describe("mutated files", () => {
  const good = safetensorsBytes(
    header({
      __metadata__: { format: "pt" },
      "model.a": f32([2, 3], 0, 24),
      "model.b": { dtype: "BF16", shape: [4], data_offsets: [24, 32] },
      "model.c": { dtype: "F16", shape: [2, 1, 2], data_offsets: [32, 40] },
    }),
    Uint8Array.from({ length: 40 }, (_, i) => i),
  );
  const draw = (bound: number, stream: number, counter: number) => randomInt(bound, 2024, stream, counter);
  const tokens = [
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "-1",
    "0",
    "1e308",
    "99999999999999999999",
    "null",
    '"F32"',
    '"\\u0000"',
    "[[[[",
    "\\",
    "\ud800",
  ];

  const mutations: ((stream: number) => Uint8Array)[] = [
    // Any bytes anywhere.
    (stream) => {
      const bytes = Uint8Array.from(good);
      for (let i = 0; i <= draw(4, stream, 0); i++) bytes[draw(bytes.length, stream, 2 * i + 1)] = draw(256, stream, 2 * i + 2);
      return bytes;
    },
    // Cut off.
    (stream) => good.slice(0, draw(good.length, stream, 0)),
    // Another header length.
    (stream) => {
      const bytes = Uint8Array.from(good);
      bytes[draw(8, stream, 0)] = draw(256, stream, 1);
      return bytes;
    },
    // Header text spliced, with its length kept right.
    (stream) => {
      const length = new DataView(good.buffer, good.byteOffset).getUint32(0, true);
      const text = Buffer.from(good.subarray(8, 8 + length)).toString();
      const begin = draw(text.length, stream, 0);
      const end = Math.min(text.length, begin + draw(6, stream, 1));
      return safetensorsBytes(text.slice(0, begin) + tokens[draw(tokens.length, stream, 2)] + text.slice(end), good.subarray(8 + length));
    },
    // A number in the header replaced.
    (stream) => {
      const length = new DataView(good.buffer, good.byteOffset).getUint32(0, true);
      const text = Buffer.from(good.subarray(8, 8 + length)).toString();
      const numbers = [...text.matchAll(/\b\d+\b/g)];
      const { index, 0: digits } = numbers[draw(numbers.length, stream, 0)] as RegExpExecArray;
      const other = ["0", "1", "-1", "3", "24", "40", "4294967296", "9007199254740993", "1e99", "0.5"][draw(10, stream, 1)];
      return safetensorsBytes(text.slice(0, index) + other + text.slice(index + digits.length), good.subarray(8 + length));
    },
  ];

  it("are read or refused with a typed error, and no read is larger than the file", async () => {
    const outcomes = { read: 0, refused: 0 };
    for (let i = 0; i < 1500; i++) {
      const bytes = (mutations[i % mutations.length] as (stream: number) => Uint8Array)(i);
      const log = { open: 0, largest: 0 };
      try {
        const file = await SafetensorsFile.open(memorySource("a", bytes, log));
        for (const [tensor, { dtype, byteLength }] of file.tensors) {
          expect((await file.readBytes(tensor)).length).toBe(byteLength);
          if (["F32", "F16", "BF16"].includes(dtype)) await file.readFloats(tensor);
        }
        await file.close();
        outcomes.read++;
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw new Error(`mutation ${i}`, { cause: error });
        outcomes.refused++;
      }
      expect(log.open).toBe(0);
      expect(log.largest).toBeLessThanOrEqual(bytes.length);
    }
    expect(outcomes.read).toBeGreaterThan(50);
    expect(outcomes.refused).toBeGreaterThan(500);
  });

  it("survives deep nesting and a large header", async () => {
    expect((await rejection(safetensorsBytes("[".repeat(200_000)))).code).toBe("CHECKPOINT");
    expect((await rejection(safetensorsBytes(`{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`))).code).toBe("CHECKPOINT");
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`t${i}`, f32([0], 0, 0)]));
    expect((await open(safetensorsBytes(header(many)))).tensors.size).toBe(20_000);
  });
});
