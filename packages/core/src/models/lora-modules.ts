/** The linear layers of a checkpoint that adapters go on, by the checkpoint's names. */
import { ConfigError } from "../errors";
import type { DecoderConfig } from "./config";
import type { TensorPart } from "./family";
import { familyOf } from "./registry";

/** An adapted linear layer of the checkpoint: the rows of one of our parameters that it is. */
export interface LoraModule {
  /** As in the checkpoint, without `.weight`. */
  readonly name: string;
  readonly part: TensorPart;
  readonly rank: number;
  readonly alpha: number;
}

/** The linear layers of a configuration's checkpoint that may have an adapter. */
export function linearModules(config: DecoderConfig): TensorPart[] {
  return familyOf(config.modelType)
    .tensors(config)
    .filter(({ parameter, shape }) => shape.length === 2 && /\.(qkv|out|up|down)$/.test(parameter));
}

/** `part`'s name without `.weight`. */
export const moduleName = ({ name }: TensorPart): string => name.replace(/\.weight$/, "");

/** Rows and columns of a module as (out, in). */
export const outputsOf = ({ shape, transposed }: TensorPart): number => shape[transposed ? 1 : 0] as number;
export const inputsOf = ({ shape, transposed }: TensorPart): number => shape[transposed ? 0 : 1] as number;

/** Throws ConfigError where a group would have no adapter at all. */
export function requireModules(modules: readonly LoraModule[], wanted: string, config: DecoderConfig): void {
  if (modules.length > 0) return;
  const names = [...new Set(linearModules(config).map((part) => moduleName(part).split(".").at(-1)))];
  throw new ConfigError(
    `lora: \`targetModules\` must name linear layers of the model (${names.join(", ")}), got ${wanted}. Name some of these.`,
  );
}
