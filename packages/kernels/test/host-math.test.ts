/** Elementary functions, random numbers and rotary tables of host.wasm. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ArgumentError,
  fillNormal,
  hostMath,
  randomBits,
  randomInt,
  ropeFrequencies,
  ropeTable,
  shuffle,
  threefry,
  uniform,
} from "../src/host/index";

const ulps = (a: number, b: number) => (Object.is(a, b) ? 0 : Math.abs(a - b) / Math.max(Number.MIN_VALUE, Math.abs(b) * 2 ** -52));

describe("hostMath", () => {
  const names = ["exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "sqrt"] as const;
  for (const name of names) {
    test(`${name} is within 2 units in the last place of the engine's`, () => {
      fc.assert(
        fc.property(fc.double({ min: 1e-6, max: 700, noNaN: true }), (x) => {
          expect(ulps(hostMath[name](x), Math[name](x))).toBeLessThanOrEqual(2);
        }),
      );
    });
  }

  test("pow is within 2 units in the last place of the engine's", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 1e3, noNaN: true }), fc.double({ min: -30, max: 30, noNaN: true }), (x, y) => {
        expect(ulps(hostMath.pow(x, y), x ** y)).toBeLessThanOrEqual(2);
      }),
    );
  });

  test("edges", () => {
    expect(hostMath.exp(Number.NEGATIVE_INFINITY)).toBe(0);
    expect(hostMath.exp(710)).toBe(Number.POSITIVE_INFINITY);
    expect(hostMath.log(0)).toBe(Number.NEGATIVE_INFINITY);
    expect(hostMath.log(-1)).toBeNaN();
    expect(hostMath.tanh(40)).toBe(1);
    expect(hostMath.pow(0.9, 0)).toBe(1);
  });
});

describe("random numbers", () => {
  test("Threefry-2x32-20 gives Random123's published vectors", () => {
    const vectors: [key: [number, number], counter: [number, number], block: [number, number]][] = [
      [
        [0, 0],
        [0, 0],
        [0x6b200159, 0x99ba4efe],
      ],
      [
        [0xffffffff, 0xffffffff],
        [0xffffffff, 0xffffffff],
        [0x1cb996fc, 0xbb002be7],
      ],
      [
        [0x13198a2e, 0x03707344],
        [0x243f6a88, 0x85a308d3],
        [0xc4923a9c, 0x483df7a0],
      ],
    ];
    for (const [key, counter, block] of vectors) expect(threefry(key, counter)).toEqual(block);
  });

  test("uniform is word 0 on a 2^-24 grid, and a number seed is its two halves", () => {
    const seed = 0x1_0000_0002;
    for (let counter = 0; counter < 100; counter++) {
      const bits = threefry([2, 1], [counter, 7])[0];
      expect(randomBits(seed, 7, counter)).toBe(bits);
      expect(uniform([2, 1], 7, counter)).toBe((bits >>> 8) * 2 ** -24);
      expect(uniform(seed, 7, counter)).toBe((bits >>> 8) * 2 ** -24);
    }
  });

  test("fillNormal has the moments of a normal and does not depend on the length", () => {
    const long = fillNormal(new Float32Array(100_001), 3, 0, 2);
    const mean = long.reduce((sum, x) => sum + x, 0) / long.length;
    const variance = long.reduce((sum, x) => sum + (x - mean) ** 2, 0) / long.length;
    const fourth = long.reduce((sum, x) => sum + (x - mean) ** 4, 0) / long.length / variance ** 2;
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(variance - 4)).toBeLessThan(0.06);
    expect(Math.abs(fourth - 3)).toBeLessThan(0.1);
    expect(fillNormal(new Float32Array(7), 3, 0, 2)).toEqual(long.slice(0, 7));
    expect(fillNormal(new Float32Array(7), 3, 1, 2)).not.toEqual(long.slice(0, 7));
  });

  test("randomInt stays below its bound and is even", () => {
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[randomInt(7, 11, 0, i)]! += 1;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
    expect(randomInt(1, 0, 0, 0)).toBe(0);
    expect(() => randomInt(0, 0, 0, 0)).toThrow(ArgumentError);
  });

  test("shuffle is a permutation, and every order of three is as likely", () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(), (n, seed) => {
        expect([...shuffle(n, seed, 0)].sort((a, b) => a - b)).toEqual([...new Array(n).keys()]);
      }),
    );
    const orders = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = shuffle(3, seed, 0).join("");
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    expect(orders.size).toBe(6);
    for (const count of orders.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
  });

  test("a seed that is no safe integer is refused", () => {
    expect(() => uniform(-1, 0, 0)).toThrow(ArgumentError);
    expect(() => uniform(2 ** 60, 0, 0)).toThrow(ArgumentError);
  });
});

describe("ropeTable", () => {
  test("angles are position times theta^(-2i / D)", () => {
    const { cos, sin } = ropeTable({ headDim: 8, maxPositions: 50, theta: 10_000 });
    for (let p = 0; p < 50; p++) {
      for (let i = 0; i < 4; i++) {
        const angle = p * 10_000 ** (-i / 4);
        expect(Math.abs(cos[p * 4 + i]! - Math.cos(angle))).toBeLessThan(4e-6);
        expect(Math.abs(sin[p * 4 + i]! - Math.sin(angle))).toBeLessThan(4e-6);
      }
    }
  });

  test("llama3 scaling slows long waves by the factor, keeps short ones, blends between", () => {
    const plain = ropeFrequencies({ headDim: 64, theta: 500_000 });
    const scaling = { type: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8192 } as const;
    const scaled = ropeFrequencies({ headDim: 64, theta: 500_000, scaling });
    let blended = 0;
    plain.forEach((frequency, i) => {
      const wavelength = (2 * Math.PI) / frequency;
      if (wavelength > 8192) expect(scaled[i]).toBe(Math.fround(frequency / 8));
      else if (wavelength < 2048) expect(scaled[i]).toBe(frequency);
      else {
        const smooth = (8192 / wavelength - 1) / 3;
        expect(scaled[i]! / ((1 - smooth) * (frequency / 8) + smooth * frequency)).toBeCloseTo(1, 6);
        blended += 1;
      }
    });
    expect(blended).toBeGreaterThan(0);
  });

  test("LongRoPE stretches every frequency by its own factor, up to the original length by one list and beyond by another", () => {
    const scaling = {
      type: "longrope",
      shortFactors: [1, 1.5],
      longFactors: [2, 30],
      originalMaxPositions: 3,
      attentionFactor: 1.25,
    } as const;
    const { cos, sin } = ropeTable({ headDim: 4, maxPositions: 5, theta: 100, scaling });
    const rows = [...[0, 1, 2].map((p) => ({ p, factors: [1, 1.5] })), ...[0, 1, 2, 3, 4].map((p) => ({ p, factors: [2, 30] }))];
    expect(cos.length).toBe(2 * rows.length);
    rows.forEach(({ p, factors }, row) => {
      factors.forEach((factor, i) => {
        const angle = p / (factor * 10 ** i);
        expect(cos[2 * row + i]).toBeCloseTo(1.25 * Math.cos(angle), 6);
        expect(sin[2 * row + i]).toBeCloseTo(1.25 * Math.sin(angle), 6);
      });
    });
    // A context shorter than the original length has no longer rows.
    expect(ropeTable({ headDim: 4, maxPositions: 2, theta: 100, scaling }).cos.length).toBe(8);
    expect(() => ropeTable({ headDim: 6, maxPositions: 2, theta: 100, scaling })).toThrow(/must be 3 for 6 channels, got 2/);
  });

  test("YaRN keeps channels that turn often in the original length, divides those that hardly turn, and scales both tables", () => {
    const scaling = {
      type: "yarn",
      factor: 8,
      originalMaxPositions: 1024,
      betaFast: 32,
      betaSlow: 1,
      truncate: true,
      attentionFactor: 1.5,
    } as const;
    const options = { headDim: 64, theta: 10_000 };
    const plain = ropeFrequencies(options);
    const scaled = ropeFrequencies({ ...options, scaling });
    // 1024 positions are 32 turns at channel 5.65 and one at 17.69: bounds 5 and 18.
    plain.forEach((frequency, i) => {
      const slowed = Math.min(Math.max((i - 5) / 13, 0), 1);
      expect(scaled[i]! / (frequency * (1 - slowed) + (frequency / 8) * slowed)).toBeCloseTo(1, 6);
    });
    expect(ropeTable({ ...options, maxPositions: 1, scaling }).cos).toEqual(new Float32Array(32).fill(1.5));
    expect(ropeTable({ ...options, maxPositions: 3, scaling: { type: "dynamic", factor: 2 } })).toEqual(
      ropeTable({ ...options, maxPositions: 3 }),
    );
  });

  test("linear scaling divides; odd sizes and unknown scalings are refused", () => {
    const plain = ropeFrequencies({ headDim: 4, theta: 100 });
    expect(ropeFrequencies({ headDim: 4, theta: 100, scaling: { type: "linear", factor: 2 } })).toEqual(plain.map((x) => x / 2));
    expect(() => ropeTable({ headDim: 3, maxPositions: 1, theta: 100 })).toThrow(ArgumentError);
    expect(() => ropeTable({ headDim: 4, maxPositions: 1, theta: 100, scaling: { type: "none" } as never })).toThrow(/none/);
  });
});
