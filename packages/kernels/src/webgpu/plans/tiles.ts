/** Programs by tile and alignment, which products and log-probabilities share. */
import scalarLeft from "../../../wgsl/lib/operand-a-scalar.wgsl";
import vectorLeft from "../../../wgsl/lib/operand-a-vec4.wgsl";
import packedRight from "../../../wgsl/lib/operand-b-packed.wgsl";
import scalarRight from "../../../wgsl/lib/operand-b-scalar.wgsl";
import vectorRight from "../../../wgsl/lib/operand-b-vec4.wgsl";
import tilePrelude from "../../../wgsl/lib/tile.wgsl";
import type { WeightFormat } from "../../weight-formats";
import type { Program } from "../program";

export const isMultipleOf4 = (...counts: number[]) => counts.every((count) => count % 4 === 0);

/** Threads of a tile; each computes 8 rows by 4 columns. */
export const TILES = {
  large: { GROUP_X: 16, GROUP_Y: 8, BLOCKS: 1, rows: 64, columns: 64 },
  small: { GROUP_X: 8, GROUP_Y: 4, BLOCKS: 2, rows: 32, columns: 32 },
} as const;
export type TileName = keyof typeof TILES;

/** What reads the operands of a product. */
interface Operands {
  readonly sources: readonly string[];
  readonly constants: Readonly<Record<string, number>>;
  /** Tells them apart in a program's name. */
  readonly variant: string;
}

/** `format`: the right operand is in low precision. `left`: what reads the left one. */
export function operands(isAligned: boolean, format?: WeightFormat, left = isAligned ? vectorLeft : scalarLeft): Operands {
  const name = isAligned ? "vec4" : "scalar";
  if (format) return { sources: [left, packedRight], constants: { FORMAT: format.id }, variant: `${name}, ${format.name}` };
  return { sources: [left, isAligned ? vectorRight : scalarRight], constants: {}, variant: name };
}

/** All variants of a tiled program: for emulated GPUs or not, tile, aligned or not. */
export interface Tiled {
  pick(isSoftware: boolean, tile: TileName, isAligned: boolean): Program;
}

export function tiled(
  source: string,
  preludes: readonly string[],
  make: (sources: readonly string[], variant: string, constants: Readonly<Record<string, number>>) => Program,
  format?: WeightFormat,
): Tiled {
  const variants = new Map<string, Program>();
  for (const isSoftware of [false, true]) {
    for (const tile of ["large", "small"] as const) {
      for (const isAligned of [false, true]) {
        const { GROUP_X, GROUP_Y, BLOCKS } = TILES[tile];
        const read = operands(isAligned, format);
        const variant = [tile, read.variant, ...(isSoftware ? ["emulated"] : [])].join(", ");
        const constants = { GROUP_X, GROUP_Y, BLOCKS, EMULATED: isSoftware ? 1 : 0, ...read.constants };
        variants.set(`${isSoftware} ${tile} ${isAligned}`, make([...read.sources, tilePrelude, ...preludes, source], variant, constants));
      }
    }
  }
  return { pick: (isSoftware, tile, isAligned) => variants.get(`${isSoftware} ${tile} ${isAligned}`) as Program };
}
