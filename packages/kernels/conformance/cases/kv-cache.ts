/** Conformance of the paged key/value cache. */
import { kvCache } from "../../src/ops/kv-cache";
import type { Case, Values } from "../case";
import type { Random } from "../random";

const EXACT = { rtol: 0, atol: 0, reason: "copies" } as const;

const writes: Values[] = [
  { N: 1, H: 1, K: 1, D: 1, L: 1 },
  { N: 1, H: 2, K: 1, D: 4, L: 8 },
  { N: 5, H: 3, K: 3, D: 5, L: 16 },
  { N: 17, H: 4, K: 2, D: 12, L: 40 },
  { N: 33, H: 2, K: 1, D: 64, L: 48 },
  { N: 65, H: 8, K: 2, D: 32, L: 130 },
];

const copies: Values[] = [
  { N: 1, L: 2, E: 1 },
  { N: 3, L: 9, E: 8 },
  { N: 5, L: 16, E: 30 },
  { N: 16, L: 64, E: 128 },
  { N: 33, L: 130, E: 257 },
];

const attends: Values[] = [
  { N: 1, B: 1, L: 4, H: 1, K: 1, D: 4, block: 4 },
  { N: 3, B: 2, L: 24, H: 2, K: 1, D: 5, block: 4 },
  { N: 5, B: 5, L: 80, H: 3, K: 3, D: 8, block: 3 },
  { N: 4, B: 9, L: 600, H: 4, K: 2, D: 12, block: 16 },
  { N: 17, B: 5, L: 1360, H: 4, K: 1, D: 16, block: 16 },
  { N: 2, B: 5, L: 160, H: 6, K: 2, D: 64, block: 16 },
  { N: 32, B: 3, L: 1600, H: 8, K: 4, D: 32, block: 16 },
  { N: 3, B: 130, L: 400, H: 2, K: 2, D: 16, block: 1 },
  { N: 2, B: 1, L: 300, H: 2, K: 1, D: 128, block: 130 },
];

/** More positions than any device holds scores of at a time. */
const LONG: Values = { N: 2, B: 150, L: 2400, H: 2, K: 1, D: 8, block: 16 };

/** Block tables over distinct blocks, lengths that end anywhere in a block, and a cache whose unused slots hold NaN. */
function paged(values: Values, permutation: (count: number) => number[], integer: (below: number) => number, draw: Float32Array) {
  const { N, B, L, K, D, block, window } = values as Record<"N" | "B" | "L" | "K" | "D" | "block" | "window", number>;
  const blocks = permutation(Math.floor(L / block));
  const lengths = Array.from({ length: N }, (_, r) => (r === 0 ? B * block : r === 1 ? 1 : 1 + integer(B * block)));
  // Entries past a row's length are never read; rows share blocks when there are fewer blocks than table entries, as a group shares its prompt.
  const tables = Array.from({ length: N * B }, (_, i) =>
    (i % B) * block < lengths[Math.floor(i / B)]! ? blocks[i % blocks.length]! : 0xffffffff,
  );
  const isUsed = new Uint8Array(L);
  lengths.forEach((length, r) => {
    const oldest = window > 0 ? Math.max(0, length - window) : 0;
    for (let t = oldest; t < length; t++) isUsed[tables[r * B + Math.floor(t / block)]! * block + (t % block)] = 1;
  });
  const cache = draw.map((x, i) => (isUsed[Math.floor(i / (2 * K * D))] ? x : Number.NaN));
  return { tables, lengths, cache };
}

/** {@link paged}, but for every row's newest position: its block is the row's own, and its slot holds NaN. */
function extended(values: Values, { permutation, integer }: Pick<Random, "permutation" | "integer">, draw: Float32Array) {
  const { N, B, L, K, D, block } = values as Record<"N" | "B" | "L" | "K" | "D" | "block", number>;
  const blocks = permutation(Math.floor(L / block));
  const own = blocks.slice(0, N);
  const shared = blocks.slice(N);
  const lengths = Array.from({ length: N }, (_, r) => (r === 0 ? B * block : r === 1 ? 1 : 1 + integer(B * block)));
  const last = lengths.map((length) => Math.floor((length - 1) / block));
  const tables = Array.from({ length: N * B }, (_, i) => {
    const [r, b] = [Math.floor(i / B), i % B];
    return b === last[r] ? own[r]! : b < last[r]! ? shared[i % shared.length]! : 0xffffffff;
  });
  const isNew = new Uint8Array(L);
  lengths.forEach((length, r) => {
    isNew[own[r]! * block + ((length - 1) % block)] = 1;
  });
  const cache = draw.map((x, i) => (isNew[Math.floor(i / (2 * K * D))] ? Number.NaN : x));
  return { tables, lengths, cache };
}

export const kvCacheCases: Case[] = [
  {
    entry: kvCache.write,
    name: "",
    sizes: writes,
    inputs: ({ values, random }) => ({ slots: random.permutation(values.L!).slice(0, values.N!) }),
    tolerance: EXACT,
  },
  {
    entry: kvCache.copy,
    name: "",
    sizes: copies,
    inputs: ({ values, random }) => {
      const slots = random.permutation(values.L!);
      const sources = slots.slice(values.N!);
      return { to: slots.slice(0, values.N!), from: Array.from({ length: values.N! }, (_, n) => sources[n % sources.length]!) };
    },
    tolerance: EXACT,
  },
  {
    entry: kvCache.attend,
    name: "",
    sizes: [
      ...attends.slice(1).map((size, i) => ({ ...size, cap: i % 2 === 0 ? 1.5 : 0, window: i % 4 === 2 ? 0 : 1 + ((7 * i) % 40) })),
      { ...LONG, cap: 2, window: 1500 },
      { ...LONG, cap: 0, window: 0 },
      ...attends.map((size) => ({ ...size, cap: 0, window: 0 })),
    ].map((size: Values) => ({ ...size, scale: 1 / Math.sqrt(size.D!) })),
    inputs: ({ values, random, draw }) => ({
      qkv: draw("qkv", { outlier: 6 }),
      ...paged(values, random.permutation, random.integer, draw("cache", { outlier: 6 })),
    }),
  },
  {
    entry: kvCache.extend,
    name: "",
    sizes: [
      ...attends.map((size, i) => ({
        ...size,
        L: size.L! + (size.N! + 1) * size.block!,
        cap: i % 3 === 0 ? 1.5 : 0,
        window: i % 4 === 2 ? 9 : 0,
      })),
      { ...LONG, cap: 0, window: 0 },
    ].map((size: Values, i) => {
      const R = [Math.floor(size.D! / 2), 1, 0][i % 3]!;
      return { ...size, scale: 1 / Math.sqrt(size.D!), T: R === 0 ? 0 : 11, R };
    }),
    inputs: ({ values, random, draw }) => ({
      qkv: draw("qkv", { outlier: 6 }),
      positions: Array.from({ length: values.N! }, () => random.integer(Math.max(1, values.T!))),
      ...extended(values, random, draw("cache", { outlier: 6 })),
    }),
  },
];
