/** How a product is cut into tiles, and its depth into slices: by a rule, or as was measured of the GPU. */
import type { ProductChoice, ProductClass, ProductForm, ProductLayout } from "../../tuning";
import type { Grid } from "../recorder";
import { BUSY_GROUPS, divide, FLOAT } from "./plan";
import { TILES, type TileName } from "./tiles";

/** Depth of one stage in lib/tile.wgsl; slices of the depth are multiples of it. */
const STAGE_DEPTH = 16;
/** A slice of the depth is worth its second pass from here on. */
const MIN_SLICE = 256;
/** Workgroups up to which a product is cut into more slices: several for each core of a large GPU, to hide the time that memory takes. */
const SLICED_GROUPS = 4 * BUSY_GROUPS;
const MAX_SLICES = 32;
/** Rows or columns up to which a result is narrow: one small tile. */
export const NARROW = TILES.small.rows;
const DEEP = 4 * MIN_SLICE;

/** A product (rows, depth) · (depth, columns). */
export interface ProductShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/** Its tiles, and slices of the depth where tiles are few. */
export interface Cut {
  readonly tile: TileName;
  readonly slices: number;
  /** Depth of one slice. */
  readonly slice: number;
  readonly grid: Grid;
}

/** All that gives choices their meaning, for telling apart tables that were made under other rules. */
export const cutRule = { TILES, STAGE_DEPTH, MIN_SLICE, SLICED_GROUPS, MAX_SLICES, NARROW, DEEP, BUSY_GROUPS };

const tilesOf = (name: TileName, { rows, columns }: ProductShape) => divide(rows, TILES[name].rows) * divide(columns, TILES[name].columns);

/** The class whose choice serves a product; undefined for small ones, which are always cut by the rule. */
export function productClass(layout: ProductLayout, shape: ProductShape): ProductClass | undefined {
  const form = formOf(shape);
  return form && `${layout} ${form}`;
}

function formOf(shape: ProductShape): ProductForm | undefined {
  if (Math.min(shape.rows, shape.columns) <= NARROW) return "narrow";
  if (tilesOf("large", shape) >= BUSY_GROUPS) return "large";
  return shape.depth >= DEEP ? "deep" : undefined;
}

/** Cuts a product; slices take at most `scratchBytes`. Without a choice, by the rule. */
export function cut(shape: ProductShape, scratchBytes: number, choice?: ProductChoice): Cut {
  const { rows, columns, depth } = shape;
  const tile = choice?.tile ?? (rows > NARROW && columns > NARROW && tilesOf("large", shape) >= BUSY_GROUPS / 4 ? "large" : "small");
  const wanted = Math.min(
    Math.floor((choice?.groups ?? SLICED_GROUPS) / tilesOf(tile, shape)),
    Math.floor(depth / MIN_SLICE),
    Math.floor(scratchBytes / (rows * columns * FLOAT)),
    MAX_SLICES,
  );
  const slice = divide(divide(depth, Math.max(1, wanted)), STAGE_DEPTH) * STAGE_DEPTH;
  const slices = Math.max(1, divide(depth, slice || 1));
  return { tile, slices, slice, grid: [divide(columns, TILES[tile].columns), divide(rows, TILES[tile].rows), slices] };
}
