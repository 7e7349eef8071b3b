/** The sizes at which kernels go wrong: one, odd ones, and either side of every tile, vector and workgroup. */
import type { Values } from "./case";

/** Around 4, 6, 8, 16, 32, 64, 96 and 256. */
export const EDGES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 95, 96, 97, 255, 256, 257] as const;

/** The edges that matter most, for ops whose cost or number of kinds forbids all of them. */
export const FEW_EDGES = [1, 3, 4, 5, 8, 17, 64, 65, 257] as const;

/** `base` once per edge of the letter `name`, with that letter replaced. */
export function sweep(name: string, edges: readonly number[], base: Values): Values[] {
  return edges.map((size) => ({ ...base, [name]: size }));
}

/** The same extra values in every size. */
export function withValues(sizes: readonly Values[], extra: Values): Values[] {
  return sizes.map((size) => ({ ...size, ...extra }));
}
