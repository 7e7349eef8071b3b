/** Programs by tile and alignment, which products and log-probabilities share. */
import scalarOperands from "../../../wgsl/lib/operands-scalar.wgsl";
import vectorOperands from "../../../wgsl/lib/operands-vec4.wgsl";
import tilePrelude from "../../../wgsl/lib/tile.wgsl";
import type { Program } from "../program";

export const isMultipleOf4 = (...counts: number[]) => counts.every((count) => count % 4 === 0);

/** Threads of a tile; each computes 8 rows by 4 columns. */
export const TILES = {
  large: { GROUP_X: 16, GROUP_Y: 8, rows: 64, columns: 64 },
  small: { GROUP_X: 8, GROUP_Y: 4, rows: 32, columns: 32 },
} as const;
export type TileName = keyof typeof TILES;

/** All variants of a tiled program: staged or not, tile, aligned or not. */
export interface Tiled {
  pick(isSoftware: boolean, tile: TileName, isAligned: boolean): Program;
}

export function tiled(
  source: string,
  preludes: readonly string[],
  make: (sources: readonly string[], variant: string, constants: Readonly<Record<string, number>>) => Program,
): Tiled {
  const variants = new Map<string, Program>();
  for (const isSoftware of [false, true]) {
    for (const tile of ["large", "small"] as const) {
      for (const isAligned of [false, true]) {
        const variant = [tile, isAligned ? "vec4" : "scalar", ...(isSoftware ? ["unstaged"] : [])].join(", ");
        const { GROUP_X, GROUP_Y } = TILES[tile];
        const constants = { GROUP_X, GROUP_Y, UNSTAGED: isSoftware ? 1 : 0 };
        const sources = [isAligned ? vectorOperands : scalarOperands, tilePrelude, ...preludes, source];
        variants.set(`${isSoftware} ${tile} ${isAligned}`, make(sources, variant, constants));
      }
    }
  }
  return { pick: (isSoftware, tile, isAligned) => variants.get(`${isSoftware} ${tile} ${isAligned}`) as Program };
}
