/** The options of an adapter under PEFT's names, and which linear layers they mean. */
import { ConfigError } from "../errors";
import type { DecoderConfig } from "./config";
import type { TensorPart } from "./family";
import { type LoraModule, linearModules, moduleName, requireModules } from "./lora-modules";
import { familyOf } from "./registry";

export interface LoraOptions {
  /** Rank. Default 8, as PEFT's. */
  readonly r?: number | undefined;
  /** The update is scaled by alpha / r. Default 8. */
  readonly loraAlpha?: number | undefined;
  /** Share of an adapter's inputs that training passes leave out. Default 0. */
  readonly loraDropout?: number | undefined;
  /** Names of linear layers, or ends of them after a dot; "all-linear"; or one regular expression for the whole name. Default: PEFT's of the family. */
  readonly targetModules?: readonly string[] | string | undefined;
  /** As `targetModules`: layers to leave out after all. */
  readonly excludeModules?: readonly string[] | string | undefined;
  /** Scale by alpha / √r. Default false. */
  readonly useRslora?: boolean | undefined;
  /** Train the magnitude of each output apart from its direction. Default false. */
  readonly useDora?: boolean | undefined;
  /** Other ranks and alphas for layers whose name ends in, or matches, a key. */
  readonly rankPattern?: Readonly<Record<string, number>> | undefined;
  readonly alphaPattern?: Readonly<Record<string, number>> | undefined;
  /** Modules trained whole in a copy of their own: `score`, `lm_head`, `embed_tokens`, norms. Default: the score head of a reward model. */
  readonly modulesToSave?: readonly string[] | undefined;
  /** Name or path of the base, for adapter_config.json. */
  readonly baseModelNameOrPath?: string | undefined;
  /** Revision of a base on the hub, for adapter_config.json. */
  readonly revision?: string | undefined;
  /** Of A's first values. Default 0. */
  readonly seed?: number | undefined;
}

/** Options with defaults filled in, resolved against a model. */
export interface LoraSettings {
  readonly r: number;
  readonly loraAlpha: number;
  readonly loraDropout: number;
  readonly useRslora: boolean;
  readonly useDora: boolean;
  readonly modules: readonly LoraModule[];
  readonly saved: readonly { readonly parameter: string; readonly part: TensorPart }[];
  /** What was asked for. */
  readonly options: LoraOptions;
}

/** Fills in defaults. Throws ConfigError listing every bad option. */
export function resolveLora(options: LoraOptions, config: DecoderConfig): LoraSettings {
  const { r = 8, loraAlpha = 8, loraDropout = 0, useRslora = false, useDora = false } = options;
  const problems = [
    !(Number.isSafeInteger(r) && r >= 1) && `\`r\` must be a whole number of at least 1, got ${r}`,
    !(loraAlpha > 0 && Number.isFinite(loraAlpha)) && `\`loraAlpha\` must be above 0, got ${loraAlpha}`,
    !(loraDropout >= 0 && loraDropout < 1) && `\`loraDropout\` must be at least 0 and below 1, got ${loraDropout}`,
  ].filter((problem) => problem !== false);
  if (problems.length > 0) throw new ConfigError(`lora: ${problems.join("; ")}. Correct these options.`);
  const targets = options.targetModules ?? defaultTargets(config);
  const isTarget = matcher("targetModules", targets);
  const isExcluded = options.excludeModules === undefined ? () => false : matcher("excludeModules", options.excludeModules);
  const modules = linearModules(config).flatMap((part): LoraModule[] => {
    const name = moduleName(part);
    if (!isTarget(name) || isExcluded(name)) return [];
    return [
      { name, part, rank: patternValue(options.rankPattern, name) ?? r, alpha: patternValue(options.alphaPattern, name) ?? loraAlpha },
    ];
  });
  requireModules(modules, JSON.stringify(targets), config);
  return { r, loraAlpha, loraDropout, useRslora, useDora, modules, saved: savedModules(options, config), options };
}

/** PEFT's table: query and value, or the one matrix that holds them. */
function defaultTargets(config: DecoderConfig): readonly string[] {
  const names = new Set(linearModules(config).map((part) => moduleName(part).split(".").at(-1) as string));
  return ["q_proj", "v_proj"].every((name) => names.has(name)) ? ["q_proj", "v_proj"] : [names.has("c_attn") ? "c_attn" : "qkv_proj"];
}

function matcher(option: string, targets: readonly string[] | string): (name: string) => boolean {
  if (targets === "all-linear") return () => true;
  if (typeof targets !== "string") return (name) => targets.some((target) => name === target || name.endsWith(`.${target}`));
  try {
    const pattern = new RegExp(`^(?:${targets})$`);
    return (name) => pattern.test(name);
  } catch (cause) {
    throw new ConfigError(`lora: \`${option}\` must be names, "all-linear" or a regular expression, got ${JSON.stringify(targets)}.`, {
      cause,
    });
  }
}

/** The value of the first key that is the name's end, as PEFT matches them. */
function patternValue(patterns: Readonly<Record<string, number>> | undefined, name: string): number | undefined {
  for (const [key, value] of Object.entries(patterns ?? {})) {
    let pattern: RegExp;
    try {
      pattern = new RegExp(`^(?:.*\\.)?(?:${key})$`);
    } catch (cause) {
      throw new ConfigError(`lora: a key of a pattern must be a name or a regular expression, got ${JSON.stringify(key)}.`, { cause });
    }
    if (!pattern.test(name)) continue;
    if (Number.isFinite(value) && value > 0) return value;
    throw new ConfigError(`lora: a pattern's value must be above 0, got ${value} for ${JSON.stringify(key)}.`);
  }
  return undefined;
}

function savedModules(options: LoraOptions, config: DecoderConfig): LoraSettings["saved"] {
  const names = options.modulesToSave ?? (config.head === "score" ? ["score"] : []);
  const parts = familyOf(config.modelType).tensors(config);
  return names.flatMap((name) => {
    const found = parts.filter((part) => moduleName(part) === name || moduleName(part).endsWith(`.${name}`));
    const whole = found.filter(
      (part) => !part.transposed && part.firstRow === 0 && parts.filter((p) => p.parameter === part.parameter).length === 1,
    );
    if (found.length === 0 || whole.length !== found.length) {
      throw new ConfigError(
        `lora: \`modulesToSave\` must name heads, embeddings or norms of the model, got ${JSON.stringify(name)}. Adapt linear layers with targetModules.`,
      );
    }
    return whole.map((part) => ({ parameter: part.parameter, part }));
  });
}
