/** PEFT's adapter files: adapter_config.json and adapter_model.safetensors, in and out. */
import { type Device, elementCount } from "@trimtab/kernels";
import { CheckpointError, ConfigError } from "../errors";
import type { Decoder } from "../models/decoder";
import { ConfigReader } from "../models/family";
import { Lora } from "../models/lora";
import { inputsOf, type LoraModule, linearModules, moduleName, outputsOf } from "../models/lora-modules";
import type { LoraOptions } from "../models/lora-options";
import { familyOf } from "../models/registry";
import { writeValues } from "../nn/parameter-values";
import type { FileContents, ReadableDirectory } from "./files";
import { jsonBytes, requireJson } from "./json-file";
import { SafetensorsFile } from "./safetensors";
import { type WrittenTensor, writeSafetensors } from "./safetensors-writer";

export const ADAPTER_CONFIG = "adapter_config.json";
export const ADAPTER_WEIGHTS = "adapter_model.safetensors";

/** PEFT's wrappers before every name of the base. */
const PREFIX = "base_model.model.";

/** One tensor of the file: rows of one of the adapter's parameters. */
interface AdapterTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Our parameter, where the rows begin in it, and the length of its rows. */
  readonly parameter: string;
  readonly firstRow: number;
  readonly width: number;
}

/** The file's tensors; a rank below the group's largest is the beginning of a row. */
function adapterTensors(lora: Lora): AdapterTensor[] {
  const tensors = [...lora.groups.values()].flatMap((group) =>
    group.modules.flatMap(({ name, part, rank }, t): AdapterTensor[] => {
      const firstRow = group.firstRows[t] as number;
      const [outputs, inputs] = [outputsOf(part), inputsOf(part)];
      const own = `${PREFIX}${name}`;
      return [
        {
          name: `${own}.lora_A.weight`,
          shape: [rank, inputs],
          parameter: `${group.parameter}.lora_A`,
          firstRow: t * group.rank,
          width: inputs,
        },
        { name: `${own}.lora_B.weight`, shape: [outputs, rank], parameter: `${group.parameter}.lora_B`, firstRow, width: group.rank },
        ...(group.magnitudes
          ? [{ name: `${own}.lora_magnitude_vector`, shape: [outputs], parameter: `${group.parameter}.lora_magnitude`, firstRow, width: 1 }]
          : []),
      ];
    }),
  );
  const saved = lora.saved.map(({ parameter, part }): AdapterTensor => {
    const [first = 1, second = 1] = part.shape;
    return { name: `${PREFIX}${part.name}`, shape: part.shape, parameter, firstRow: 0, width: part.shape.length > 1 ? second : first };
  });
  return [...tensors, ...saved];
}

/** Rows and columns of a tensor as it lies in its parameter. */
function extent({ shape, width }: AdapterTensor): { rows: number; columns: number } {
  const [first = 1, second] = shape;
  if (second !== undefined) return { rows: first, columns: second };
  return width === 1 ? { rows: first, columns: 1 } : { rows: 1, columns: first };
}

/** The files of an adapter; `read` gives the values of its parameters by our names. */
export function adapterFiles(lora: Lora, read: (parameter: string) => Promise<Float32Array> | Float32Array): Map<string, FileContents> {
  const tensors = adapterTensors(lora).map((tensor): WrittenTensor => {
    const { name, shape, parameter, firstRow, width } = tensor;
    const { rows, columns } = extent(tensor);
    const data = async () => {
      const all = await read(parameter);
      const values = new Float32Array(rows * columns);
      for (let r = 0; r < rows; r++) values.set(all.subarray((firstRow + r) * width, (firstRow + r) * width + columns), r * columns);
      return values;
    };
    return { name, dtype: "F32", shape, data };
  });
  return new Map<string, FileContents>([
    [ADAPTER_WEIGHTS, writeSafetensors(tensors, ADAPTER_WEIGHTS)],
    [ADAPTER_CONFIG, jsonBytes(configJson(lora))],
  ]);
}

function configJson({ config, settings, saved }: Lora): Record<string, unknown> {
  const { r, loraAlpha, loraDropout, useRslora, useDora, modules, options } = settings;
  const targets = new Set(modules.map(({ name }) => name.split(".").at(-1) as string));
  const { targetModules } = options;
  const isPattern = typeof targetModules === "string" && targetModules !== "all-linear";
  return {
    alpha_pattern: options.alphaPattern ?? {},
    auto_mapping: null,
    base_model_name_or_path: options.baseModelNameOrPath ?? null,
    bias: "none",
    exclude_modules: options.excludeModules ?? null,
    fan_in_fan_out: modules.some(({ part }) => part.transposed),
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: loraAlpha,
    lora_dropout: loraDropout,
    modules_to_save: saved.length > 0 ? saved.map(({ part }) => moduleName(part).split(".").at(-1)) : null,
    peft_type: "LORA",
    r,
    rank_pattern: options.rankPattern ?? {},
    revision: options.revision ?? null,
    target_modules: isPattern || Array.isArray(targetModules) ? targetModules : [...targets].sort(),
    task_type: config.head === "score" ? "SEQ_CLS" : "CAUSAL_LM",
    use_dora: useDora,
    use_rslora: useRslora,
  };
}

/** What PEFT can do to a layer and Trimtab does not: each must be absent, or what leaves it out. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  bias: ["none"],
  lora_bias: [false],
  layer_replication: [],
  use_qalora: [false],
  target_parameters: [],
  trainable_token_indices: [],
  alora_invocation_tokens: [],
  megatron_config: [],
};

/** True where a directory holds an adapter. */
export async function isAdapter(directory: ReadableDirectory): Promise<boolean> {
  const source = await directory.open(ADAPTER_CONFIG);
  await source?.close();
  return source !== undefined;
}

/** Reads adapter_config.json as options. Throws CheckpointError naming what is not understood. */
export async function loadAdapterConfig(directory: ReadableDirectory): Promise<LoraOptions> {
  const json = await requireJson(directory, ADAPTER_CONFIG);
  const reader = new ConfigReader(json, ADAPTER_CONFIG);
  reader.only("peft_type", ["LORA"], "Only LoRA adapters are supported.");
  for (const [field, allowed] of Object.entries(REFUSED)) {
    if (!isEmpty(json[field])) reader.only(field, allowed, "This kind of adapter is not supported.");
  }
  const names = (field: string): readonly string[] | string | undefined => {
    const value = json[field] ?? undefined;
    if (value === undefined || typeof value === "string") return value;
    return reader.list(field)?.map(String);
  };
  const pattern = (field: string) =>
    Object.fromEntries((reader.object(field)?.names() ?? []).map((key) => [key, (reader.object(field) as ConfigReader).number(key)]));
  const saved = reader.list("modules_to_save")?.map(String);
  return {
    r: reader.size("r", 8),
    loraAlpha: reader.number("lora_alpha", 8),
    loraDropout: reader.number("lora_dropout", 0),
    targetModules: names("target_modules"),
    excludeModules: names("exclude_modules"),
    useRslora: reader.boolean("use_rslora", false),
    useDora: reader.boolean("use_dora", false),
    rankPattern: pattern("rank_pattern"),
    alphaPattern: pattern("alpha_pattern"),
    ...(saved ? { modulesToSave: saved } : {}),
    ...(typeof json.base_model_name_or_path === "string" ? { baseModelNameOrPath: json.base_model_name_or_path } : {}),
    ...(typeof json.revision === "string" ? { revision: json.revision } : {}),
  };
}

const isEmpty = (value: unknown): boolean =>
  value === null || value === undefined || (typeof value === "object" && Object.keys(value as object).length === 0);

/**
 * Reads an adapter of `base`'s weights; the caller puts it on with `base.withAdapter`. Which layers have an adapter is what the file holds.
 * Throws CheckpointError naming file and tensor where the adapter is damaged or another base's.
 */
export async function loadAdapter(base: Decoder, directory: ReadableDirectory): Promise<Lora> {
  const options = await loadAdapterConfig(directory);
  const source = await directory.open(ADAPTER_WEIGHTS);
  if (!source) {
    throw new CheckpointError(
      `${ADAPTER_WEIGHTS}: the file must exist in ${directory.path}, got none. Convert other formats to safetensors.`,
      {
        file: ADAPTER_WEIGHTS,
      },
    );
  }
  const file = await SafetensorsFile.open(source);
  let lora: Lora | undefined;
  try {
    lora = layOut(base.device, base, options, file);
    await fill(lora, file);
    return lora;
  } catch (error) {
    lora?.dispose();
    if (error instanceof ConfigError)
      throw new CheckpointError(`${ADAPTER_CONFIG}: ${error.message}`, { file: ADAPTER_CONFIG }, { cause: error });
    throw error;
  } finally {
    await file.close();
  }
}

/** The adapter with room for what the file holds; layers that the configuration means must be there. */
function layOut(device: Device, base: Decoder, options: LoraOptions, file: SafetensorsFile): Lora {
  const held = linearModules(base.config)
    .map(moduleName)
    .filter((name) => file.tensors.has(`${PREFIX}${name}.lora_A.weight`));
  const lora = new Lora(device, base.config, held.length > 0 ? { ...options, targetModules: options.targetModules ?? held } : options);
  const known = new Map(adapterTensors(lora).map((tensor) => [tensor.name, tensor]));
  const problems = [
    ...[...known].flatMap(([name, { shape }]) => {
      const stored = file.tensors.get(name);
      if (!stored) return [{ name, text: `"${name}" (${shape.join(", ")}) is missing` }];
      const isSame = stored.shape.length === shape.length && stored.shape.every((size, i) => size === shape[i]);
      return isSame ? [] : [{ name, text: `"${name}" must be (${shape.join(", ")}), got (${stored.shape.slice(0, 8).join(", ")})` }];
    }),
    ...[...file.tensors.keys()].filter((name) => !known.has(name)).map((name) => ({ name, text: `"${name}" is not part of this adapter` })),
  ];
  const [first] = problems;
  if (!first) return lora;
  lora.dispose();
  const shown = problems.slice(0, 8).map(({ text }) => text);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  throw new CheckpointError(
    `${ADAPTER_WEIGHTS}: the tensors must be those of ${ADAPTER_CONFIG} on this ${familyOf(base.config.modelType).modelType} base: ${shown.join("; ")}. The adapter is another base's, or the files do not belong together.`,
    { file: ADAPTER_WEIGHTS, tensor: first.name },
  );
}

async function fill(lora: Lora, file: SafetensorsFile): Promise<void> {
  const all = adapterTensors(lora);
  for (const parameter of lora.parameters.all) {
    const tensors = all.filter((tensor) => tensor.parameter === parameter.name);
    const values = new Float32Array(elementCount(parameter.shape));
    for (const tensor of tensors) {
      const stored = await file.readFloats(tensor.name);
      const at = stored.findIndex((value) => !Number.isFinite(value));
      if (at >= 0) {
        throw new CheckpointError(
          `${file.name}: every weight must be finite, got ${stored[at]} in "${tensor.name}" at element ${at}. The adapter is damaged or its training diverged.`,
          { file: file.name, tensor: tensor.name },
        );
      }
      const { rows, columns } = extent(tensor);
      for (let r = 0; r < rows; r++) {
        values.set(stored.subarray(r * columns, (r + 1) * columns), (tensor.firstRow + r) * tensor.width);
      }
    }
    writeValues(lora.device, parameter, values);
  }
}

/** Names of the adapted layers, for messages and tests. */
export const adaptedModules = (lora: Lora): string[] => lora.settings.modules.map(({ name }: LoraModule) => name);
