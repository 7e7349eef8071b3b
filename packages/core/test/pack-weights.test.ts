/** Weights in low precision: worked codes and layouts of every format, and the laws of rounding. */
import { NF4_LEVELS, ops, packedRowWords, WEIGHT_FORMATS, type WeightFormatName } from "@trimtab/kernels";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packRows, unpackRows } from "../src/checkpoint/pack-weights";
import { ConfigError } from "../src/errors";
import { allocate, upload } from "../src/tensor/tensor";
import { describeDevices } from "./devices";

const names = Object.keys(WEIGHT_FORMATS) as WeightFormatName[];
const pack = (name: WeightFormatName, values: number[], columns = values.length) => [...packRows(name, Float32Array.from(values), columns)];
/** The first codes of the first row. */
const codes = (name: WeightFormatName, values: number[]): number[] => {
  const { bits } = WEIGHT_FORMATS[name];
  const packed = pack(name, values);
  return values.map((_, k) => (packed[Math.floor((k * bits) / 32)]! >>> ((k * bits) % 32)) & (2 ** bits - 1));
};

describe("layouts", () => {
  it("nf4: eight codes a word from the lowest bits on, rows filled to 16 with the code of zero, then absmax", () => {
    // Nearest levels to 0.5, -1, 0.25, 0: 0.4407 (12), -1 (0), 0.2461 (10), 0 (7).
    expect(pack("nf4", [0.5, -1, 0.25, 0])).toEqual([0x77777a0c, 0x77777777, 0x3f800000]);
    expect(pack("nf4", [1, -2, 0.5, 0])).toEqual([0x77777a0c, 0x77777777, 0x40000000]);
  });

  it("a block of 64 has its own scale, and each row begins anew", () => {
    const row = [...new Array(64).fill(3), 5];
    const packed = pack("nf4", [...row, ...row.map((x) => -2 * x)], 65);
    // 80 codes are ten words, then two scales.
    expect(packed.length).toBe(2 * 12);
    expect([10, 11, 22, 23].map((at) => packed[at])).toEqual([0x40400000, 0x40a00000, 0x40c00000, 0x41200000]);
    expect([packed[0], packed[7], packed[8], packed[9]]).toEqual([0xffffffff, 0xffffffff, 0x7777777f, 0x77777777]);
    expect([packed[12], packed[20]]).toEqual([0, 0x77777770]);
  });

  it("int8: bytes in two's complement, absmax over 127", () => {
    expect(pack("int8", [127, -127, 1, -2, 64])).toEqual([0xfe01817f, 0x40, 0, 0, 0x3f800000]);
  });

  it("int4: nibbles in two's complement, absmax over 7", () => {
    expect(pack("int4", [7, -7, 1, -2, 0, 3])).toEqual([0x0030e197, 0, 0x3f800000]);
  });

  it("f16 and bf16: two a word, the first in the low half", () => {
    expect(pack("f16", [1, -2, 0.5])).toEqual([0xc0003c00, 0x3800, 0, 0, 0, 0, 0, 0]);
    expect(pack("bf16", [1, -2, 0.5])).toEqual([0xc0003f80, 0x3f00, 0, 0, 0, 0, 0, 0]);
  });

  it("bits of a weight, scales included", () => {
    const bits = names.map((name) => (32 * packedRowWords(WEIGHT_FORMATS[name], 576)) / 576);
    expect(bits).toEqual([16, 16, 8.5, 4.5, 4.5]);
  });
});

describe("rounding", () => {
  it("bf16 and f16: ties to even", () => {
    expect(codes("bf16", [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20])).toEqual([0x3f80, 0x3f82, 0x3f81]);
    expect(codes("f16", [1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -20])).toEqual([0x3c00, 0x3c02, 0x3c01]);
  });

  it("f16: subnormals are kept, the largest is 65504, what rounds beyond it is refused", () => {
    expect(codes("f16", [2 ** -24, 2 ** -25, 3 * 2 ** -25, -(2 ** -15), 65519])).toEqual([1, 0, 2, 0x8200, 0x7bff]);
    expect(() => pack("f16", [1, 65520])).toThrow(ConfigError);
    expect(() => pack("f16", [1, 65520])).toThrow(
      "dtype: every weight must be within ±65504 in f16, got 65520. Keep this model in bfloat16.",
    );
    expect(() => pack("bf16", [3.4e38])).toThrow(/Keep this model in float32/);
  });

  it("int8 and int4: ties to even", () => {
    expect(codes("int8", [127, 0.5, 1.5, 2.5, -0.5, -1.5])).toEqual([127, 0, 2, 2, 0, 0xfe]);
    expect(codes("int4", [7, 0.5, 1.5, 2.5, -0.5, -1.5])).toEqual([7, 0, 2, 2, 0, 14]);
  });

  it("nf4: every level is its own code; halfway between two is the lower one", () => {
    expect(codes("nf4", [...NF4_LEVELS])).toEqual(NF4_LEVELS.map((_, code) => code));
    const halfway = NF4_LEVELS.slice(1).map((level, i) => (level + NF4_LEVELS[i]!) / 2);
    const exact = halfway.filter((value) => Math.fround(value) === value);
    expect(exact.length).toBeGreaterThan(3);
    expect(codes("nf4", [1, ...exact]).slice(1)).toEqual(exact.map((value) => halfway.indexOf(value)));
    // bitsandbytes' thresholds around zero: 0.0398 and -0.0455.
    expect(codes("nf4", [1, 0.0397, 0.0399, -0.0454, -0.0456])).toEqual([15, 7, 8, 7, 6]);
  });

  it("a block of zeros has scale 0", () => {
    for (const name of ["int8", "nf4", "int4"] as const)
      expect([...unpackRows(name, packRows(name, new Float32Array(3), 3), 3)]).toEqual([0, 0, 0]);
  });
});

describeDevices("decoding", (device, deviceName) => {
  // WGSL lets a GPU read subnormal halves as zero.
  const exact = deviceName === "webgpu" ? names.filter((name) => name !== "f16") : names;
  it.each(exact)("%s: every code is what it is on the host, to the last bit", async (name) => {
    const { bits, blockLength, largest } = WEIGHT_FORMATS[name];
    const [rows, columns] = bits === 16 ? [64, 1024] : [3, 256];
    const format = WEIGHT_FORMATS[name];
    const words = packedRowWords(format, columns);
    const packed = new Uint32Array(rows * words);
    const scales = new Float32Array(packed.buffer);
    const scalesAt = words - (blockLength ? columns / blockLength : 0);
    const perWord = 32 / bits;
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < columns; k++) {
        let code = (r * columns + k) & (2 ** bits - 1);
        // Infinities and NaN never occur.
        if (name === "f16" && (code & 0x7c00) === 0x7c00) code = 0;
        if (name === "bf16" && (code & 0x7f80) === 0x7f80) code = 0;
        // Subnormal floats come from subnormal weights alone, which GPUs may read as zero as well.
        if (name === "bf16" && (code & 0x7f80) === 0) code = 0;
        const at = r * words + Math.floor(k / perWord);
        packed[at] = (packed[at]! | (code << (bits * (k % perWord)))) >>> 0;
      }
      for (let g = scalesAt; g < words; g++) scales[r * words + g] = (1 + (r + g) / 7) / largest;
    }
    const [ids, w, y] = [
      upload(
        device,
        Uint32Array.from({ length: rows }, (_, r) => r),
      ),
      upload(device, packed, [rows, words]),
      allocate(device, [rows, columns]),
    ];
    device.dispatch(ops.packedWeight.rows, { tensors: { ids, w, y }, scalars: { format: format.id } });
    expect(await device.read(y)).toEqual(unpackRows(name, packed, columns));
    for (const { buffer } of [ids, w, y]) device.free(buffer);
  });
});

describe("laws", () => {
  const matrix = fc
    .record({ rows: fc.integer({ min: 1, max: 3 }), columns: fc.integer({ min: 1, max: 140 }), seed: fc.integer() })
    .chain(({ rows, columns }) =>
      fc.record({
        columns: fc.constant(columns),
        values: fc.float32Array({ minLength: rows * columns, maxLength: rows * columns, noNaN: true, min: -8, max: 8 }),
      }),
    );
  /** Half a step of each format at magnitude x in a block whose largest is m. */
  const bound: Record<WeightFormatName, (x: number, m: number) => number> = {
    f16: (x) => Math.max(Math.abs(x) * 2 ** -11, 2 ** -25),
    bf16: (x) => Math.abs(x) * 2 ** -8,
    int8: (_, m) => m / 254,
    // Half of the widest gap between levels: from -1 to -0.6962.
    nf4: (_, m) => m * 0.1519036,
    int4: (_, m) => m / 14,
  };

  it.each(names)(
    "%s: no weight is further from its value than half a step, rows are independent, and packing again changes nothing",
    (name) => {
      fc.assert(
        fc.property(matrix, ({ values, columns }) => {
          const packed = packRows(name, values, columns);
          const back = unpackRows(name, packed, columns);
          const { blockLength } = WEIGHT_FORMATS[name];
          values.forEach((x, i) => {
            const row = i - (i % columns);
            const begin = blockLength ? row + (i % columns) - ((i % columns) % blockLength) : i;
            const block = values.subarray(begin, Math.min(row + columns, begin + Math.max(1, blockLength)));
            const largest = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
            if (Math.abs(back[i]! - x) > bound[name](x, largest) * (1 + 1e-5) + 1e-38) expect.fail(`${x} became ${back[i]} at ${i}`);
          });
          const words = packed.length / (values.length / columns);
          expect(packRows(name, values.slice(0, columns), columns)).toEqual(packed.slice(0, words));
          // A second rounding could only move scales by their last bit.
          const again = unpackRows(name, packRows(name, back, columns), columns);
          again.forEach((x, i) => {
            if (Math.abs(x - back[i]!) > 1e-6 * Math.abs(back[i]!) + 1e-38) expect.fail(`${back[i]} became ${x} at ${i}`);
          });
        }),
        { numRuns: 20, seed: 7 },
      );
    },
  );
});
