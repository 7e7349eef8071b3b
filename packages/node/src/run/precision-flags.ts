/** What a command's model is kept in, from the flags of TRL's ModelConfig. */
import { type BaseDtype, ConfigError } from "@trimtab/core";
import type { z } from "zod";
import type { precisionFields } from "../cli/schemas/fields";

export type PrecisionFlags = Readonly<z.output<z.ZodObject<typeof precisionFields>>>;

/** Throws ConfigError for flags that contradict each other. */
export function baseDtype({ dtype, loadIn8bit, loadIn4bit, bnb4bitQuantType }: PrecisionFlags): BaseDtype {
  const bits = loadIn8bit ? "--load-in-8bit" : "--load-in-4bit";
  const problems = [
    loadIn8bit && loadIn4bit && "--load-in-8bit and --load-in-4bit exclude each other, got both",
    (loadIn8bit || loadIn4bit) && dtype !== undefined && `--dtype must be left out with ${bits}, got ${dtype}: all else is float32`,
    bnb4bitQuantType !== undefined && !loadIn4bit && `--bnb-4bit-quant-type is of --load-in-4bit, got ${bnb4bitQuantType} without it`,
  ].filter((problem) => problem !== false);
  if (problems.length > 0) throw new ConfigError(`${problems.join("; ")}. Leave one of them out.`);
  if (loadIn8bit) return "int8";
  return loadIn4bit ? (bnb4bitQuantType ?? "nf4") : (dtype ?? "float32");
}
