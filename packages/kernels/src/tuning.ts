/** What was measured of GPUs, as data: for each adapter, which tile and how many slices serve each class of matrix products best, and which kernels are faster with subgroups. */

/** Which operands a product has: x wᵀ, dy w or dyᵀ x. */
export type ProductLayout = "forward" | "input" | "weight";

/**
 * What a product (rows, depth) · (depth, columns) is like. `large` has tiles enough to fill a GPU, `narrow` at most 32 rows or columns, `deep` few tiles and
 * a depth of 1,024 or more. Others are too small to gain anything.
 */
export type ProductForm = "large" | "narrow" | "deep";

/** Products that one choice serves. */
export type ProductClass = `${ProductLayout} ${ProductForm}`;

export const PRODUCT_CLASSES: readonly ProductClass[] = (["forward", "input", "weight"] as const).flatMap((layout) =>
  (["large", "narrow", "deep"] as const).map((form): ProductClass => `${layout} ${form}`),
);

/** How products of a class are computed. */
export interface ProductChoice {
  /** 64 x 64 or 32 x 32 elements of the result for each workgroup. Default: by the number of tiles. */
  readonly tile?: "large" | "small";
  /** Workgroups up to which the depth is cut into slices, which a second pass adds up: 0 never cuts; 1,024 is what runs where nothing was measured. */
  readonly groups: number;
}

/**
 * Kernels that also come in a form with subgroups: `reductions` are those that add up rows within a workgroup (norms, sampling, attention over the cache,
 * the optimiser's norm, divergences), the others attention in training and prefill.
 */
export type KernelClass = "reductions" | "attention forward" | "attention backward";

export const KERNEL_CLASSES: readonly KernelClass[] = ["reductions", "attention forward", "attention backward"];

/** The form of a class of kernels where it is not the one that needs no subgroups. */
export type KernelForm = "subgroups";

export type TuningChoices = Readonly<Partial<Record<ProductClass, ProductChoice> & Record<KernelClass, KernelForm>>>;

/** What `tuneDevice` found, as it is kept: JSON. */
export interface TuningTable {
  /** Names the kernels that were measured; where they have changed the table is not used. */
  readonly kernels: string;
  /** By adapter. A class that is not there gained nothing. */
  readonly adapters: Readonly<Record<string, TuningChoices>>;
}

/** What a device took from a table. */
export interface DeviceTuning {
  readonly choices: TuningChoices;
  /** Why nothing was taken. */
  readonly ignored?: string;
}

/** Under which names a device's measurements are kept. */
export interface TuningKey {
  readonly adapter: string;
  readonly kernels: string;
}

const MOST_GROUPS = 65_536;

/** A table of one adapter. */
export const tableOf = ({ adapter, kernels }: TuningKey, choices: TuningChoices): TuningTable => ({
  kernels,
  adapters: { [adapter]: choices },
});

/**
 * What a table has for a device, or whatever came of reading one, an error too; never throws, as a file must not keep a run from starting. A device without
 * subgroups takes the choices that need none.
 */
export function tuningFrom(kept: unknown, { adapter, kernels }: TuningKey, hasSubgroups: boolean): DeviceTuning {
  if (kept instanceof Error) return ignored(`it must be readable JSON, got: ${kept.message}`);
  const problem = problemWith(kept);
  if (problem !== undefined) return ignored(problem);
  const table = kept as TuningTable;
  if (table.kernels !== kernels) return ignored(`it must be of the kernels ${kernels}, got ${table.kernels}`);
  const choices = table.adapters[adapter];
  if (!choices) return ignored(`it must know the adapter "${adapter}", got ${Object.keys(table.adapters).join(", ") || "none"}`);
  if (hasSubgroups) return { choices };
  return { choices: Object.fromEntries(Object.entries(choices).filter(([, choice]) => choice !== "subgroups")) };
}

/** What was kept with what was measured since: adapters that were not measured again stay, unless their kernels are others. */
export function joinTuning(kept: unknown, fresh: TuningTable): TuningTable {
  const isJoined = problemWith(kept) === undefined && (kept as TuningTable).kernels === fresh.kernels;
  return { kernels: fresh.kernels, adapters: { ...(isJoined ? (kept as TuningTable).adapters : {}), ...fresh.adapters } };
}

const ignored = (reason: string): DeviceTuning => ({ choices: {}, ignored: `the tuning table is not used: ${reason}. Tune again.` });

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** What keeps a value from being a {@link TuningTable}. */
function problemWith(kept: unknown): string | undefined {
  if (!isObject(kept)) return `it must be a JSON object, got ${Array.isArray(kept) ? "a list" : typeof kept}`;
  const { kernels, adapters } = kept;
  if (typeof kernels !== "string" || !isObject(adapters)) return "it must have `kernels` and `adapters`, got something else";
  for (const [adapter, choices] of Object.entries(adapters)) {
    if (!isObject(choices)) return `"${adapter}" must have choices, got ${typeof choices}`;
    for (const [name, choice] of Object.entries(choices)) {
      const isKernel = (KERNEL_CLASSES as readonly string[]).includes(name) && choice === "subgroups";
      const isProduct = (PRODUCT_CLASSES as readonly string[]).includes(name) && isChoice(choice);
      if (!isKernel && !isProduct) return `"${name}" must be a class of products or kernels with a choice, got ${JSON.stringify(choice)}`;
    }
  }
  return undefined;
}

function isChoice(value: unknown): value is ProductChoice {
  if (!isObject(value)) return false;
  const { tile, groups } = value;
  const isTile = tile === undefined || tile === "large" || tile === "small";
  return isTile && Number.isInteger(groups) && (groups as number) >= 0 && (groups as number) <= MOST_GROUPS;
}
