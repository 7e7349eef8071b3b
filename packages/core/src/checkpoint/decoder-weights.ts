/** Weights of a decoder from and to a Hugging Face directory, one parameter at a time. */
import { type Device, elementCount } from "@trimtab/kernels";
import { CheckpointError } from "../errors";
import type { DecoderConfig } from "../models/config";
import { Decoder, type LinearFormat, parameterSpecs } from "../models/decoder";
import type { Family, TensorPart } from "../models/family";
import { familyOf, parseConfig } from "../models/registry";
import { writeValues } from "../nn/parameter-values";
import { type PackedParameter, type Parameter, ParameterSet } from "../nn/parameters";
import { alignElements } from "../tensor/tensor";
import type { ReadableDirectory } from "./files";
import { requireJson } from "./json-file";
import { packRows } from "./pack-weights";
import { extractPart, fillPart, firstElement } from "./parts";
import { requireRoom } from "./room";
import type { WrittenDtype, WrittenTensor } from "./safetensors-writer";
import { openWeights, type StoredTensor, type WeightFiles } from "./weight-files";

/** A parameter's values under our name. */
export interface ParameterValues {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Reads config.json. Throws CheckpointError or UnsupportedModelError. */
export async function loadConfig(directory: ReadableDirectory): Promise<DecoderConfig> {
  return parseConfig(await requireJson(directory, "config.json"));
}

/**
 * Loads config.json and the weights, in f32, f16 or bf16, in one file or sharded. Refuses with OutOfMemoryError before reading a
 * model that does not fit, and with CheckpointError a checkpoint with missing, unknown or wrongly shaped tensors or values that are not
 * finite. A dry device holds no weights, so none are read. Weights are read a few megabytes at a time, so that beside the device's memory no tensor is ever whole; only GPT-2's, which must be
 * transposed, and parts that begin where no window may are. Linear layers are brought to `format` on the way, one at a time.
 */
export async function loadDecoder(device: Device, directory: ReadableDirectory, format?: LinearFormat): Promise<Decoder> {
  const config = await loadConfig(directory);
  requireRoom(device, config, 1, format);
  const files = await openWeights(directory);
  let decoder: Decoder | undefined;
  try {
    const plan = planWeights(config, files);
    decoder = new Decoder(device, config, new ParameterSet(device, parameterSpecs(config, format)));
    if (device.info.isDry) return decoder;
    for (const planned of plan.parameters) {
      const weight = decoder.parameters.weight(planned.name);
      if ("packed" in weight) await writePacked(device, weight, planned);
      else await writeParameter(device, weight, planned);
    }
    if (plan.tiedHead) await requireSame(embeddingOf(plan), plan.tiedHead);
    return decoder;
  } catch (error) {
    decoder?.dispose();
    throw error;
  } finally {
    await files.close();
  }
}

/** The weights of a directory as host arrays; `config` is that of the directory. Checks as {@link loadDecoder} does. */
export async function loadParameters(directory: ReadableDirectory, config: DecoderConfig): Promise<ParameterValues[]> {
  const files = await openWeights(directory);
  try {
    const parameters: ParameterValues[] = [];
    for await (const parameter of readParameters(planWeights(config, files))) parameters.push(parameter);
    return parameters;
  } finally {
    await files.close();
  }
}

/** A parameter, and the tensors of the files that fill it. */
interface PlannedParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly parts: readonly PlacedPart[];
}

/** Where each parameter's values lie in the files. */
interface WeightPlan {
  readonly parameters: readonly PlannedParameter[];
  /** An output head that the files hold although it is tied to the embedding. */
  readonly tiedHead: StoredTensor | undefined;
}

interface PlacedPart {
  readonly part: TensorPart;
  readonly stored: StoredTensor;
}

function planWeights(config: DecoderConfig, files: WeightFiles): WeightPlan {
  const family = familyOf(config.modelType);
  const found = byCanonicalName(family, files.tensors);
  if (config.layers > found.size) {
    throw new CheckpointError(
      `config.json: the number of layers must be at most the number of tensors in the weights, ${found.size}, got ${config.layers}. The files do not belong together.`,
      { file: "config.json" },
    );
  }
  const parts = family.tensors(config);
  const problems: { tensor: string; file: string | undefined; text: string }[] = [];
  const placed = new Map<string, PlacedPart[]>();
  for (const part of parts) {
    const stored = found.get(part.name);
    if (stored) {
      if (!sameShape(stored.shape, part.shape)) problems.push(wrongShape(part, stored));
      const list = placed.get(part.parameter);
      if (list) list.push({ part, stored });
      else placed.set(part.parameter, [{ part, stored }]);
      found.delete(part.name);
    } else {
      problems.push({ tensor: part.name, file: undefined, text: `"${part.name}" (${part.shape.join(", ")}) is missing` });
    }
  }
  let tiedHead: StoredTensor | undefined;
  if (config.tied && config.head === "lm") {
    const head = headPart(family, config);
    tiedHead = found.get(head.name);
    found.delete(head.name);
    if (tiedHead && !sameShape(tiedHead.shape, head.shape)) problems.push(wrongShape(head, tiedHead));
  }
  for (const [name, { file }] of found) {
    problems.push({ tensor: name, file: file.name, text: `"${name}" is not part of this model` });
  }
  const [first] = problems;
  if (first) {
    const shown = problems.slice(0, 8).map(({ text }) => text);
    if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
    const file = first.file ?? files.tensors[0]?.file.name ?? "model.safetensors";
    throw new CheckpointError(
      `${file}: the tensors must be those that config.json describes: ${shown.join("; ")}. Check that the files belong together.`,
      { file, tensor: first.tensor },
    );
  }
  return {
    parameters: parameterSpecs(config).map(({ name, shape }) => ({ name, shape, parts: placed.get(name) ?? [] })),
    tiedHead,
  };
}

/** Tensors by the name the family knows them by; buffers that carry no weights are left out. */
function byCanonicalName(family: Family, tensors: readonly StoredTensor[]): Map<string, StoredTensor> {
  const found = new Map<string, StoredTensor>();
  for (const stored of tensors) {
    const name = family.canonicalName(stored.name);
    if (name === undefined) continue;
    const other = found.get(name);
    if (other) {
      throw new CheckpointError(
        `${stored.file.name}: every tensor must occur once, got "${name}" as "${other.name}" and as "${stored.name}". Remove one.`,
        { file: stored.file.name, tensor: stored.name },
      );
    }
    found.set(name, stored);
  }
  return found;
}

function headPart(family: Family, config: DecoderConfig): TensorPart {
  return family.tensors({ ...config, tied: false }).find(({ parameter }) => parameter === "head") as TensorPart;
}

function wrongShape({ name, shape }: TensorPart, stored: StoredTensor): { tensor: string; file: string; text: string } {
  return {
    tensor: name,
    file: stored.file.name,
    text: `"${name}" must be (${shape.join(", ")}), got (${stored.shape.slice(0, 8).join(", ")})`,
  };
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

async function* readParameters(plan: WeightPlan): AsyncGenerator<ParameterValues> {
  for (const planned of plan.parameters) yield { ...planned, values: await readParameter(planned) };
  if (plan.tiedHead) await requireSame(embeddingOf(plan), plan.tiedHead);
}

/** A parameter's values in host memory. */
async function readParameter({ shape, parts }: PlannedParameter): Promise<Float32Array> {
  const values = new Float32Array(elementCount(shape));
  for (const { part, stored } of parts) fillPart(part, await readFinite(stored), values);
  return values;
}

/** Elements read at a time: four megabytes of f32, and a whole number of windows. */
const PIECE = 1 << 20;

/** Fills a parameter on the device, piece by piece where its parts begin on windows. */
async function writeParameter(device: Device, parameter: Parameter, planned: PlannedParameter): Promise<void> {
  const starts = planned.parts.map(({ part }) => firstElement(part));
  if (planned.parts.some(({ part }, i) => part.transposed || starts[i] !== alignElements(starts[i] as number))) {
    writeValues(device, parameter, await readParameter(planned));
    return;
  }
  for (const [i, { stored }] of planned.parts.entries()) {
    const count = elementCount(stored.shape);
    for (let begin = 0; begin < count; begin += PIECE) {
      const values = await readFinite(stored, begin, Math.min(PIECE, count - begin));
      writeValues(device, parameter, values, (starts[i] as number) + begin);
    }
  }
}

/** Fills a parameter in low precision: whole rows at a time, which only the packed ones outlive. */
async function writePacked(device: Device, { packed, format, shape }: PackedParameter, planned: PlannedParameter): Promise<void> {
  const columns = shape[1] as number;
  if (planned.parts.some(({ part }) => part.transposed)) {
    device.write(packed, packRows(format, await readParameter(planned), columns));
    return;
  }
  const words = new Uint32Array(elementCount(packed.shape));
  const piece = Math.max(1, Math.floor(PIECE / columns)) * columns;
  for (const { part, stored } of planned.parts) {
    const count = elementCount(stored.shape);
    for (let begin = 0; begin < count; begin += piece) {
      const rows = packRows(format, await readFinite(stored, begin, Math.min(piece, count - begin)), columns);
      words.set(rows, (part.firstRow + begin / columns) * (packed.shape[1] as number));
    }
  }
  device.write(packed, words);
}

/** All of a tensor's values, or `count` from `begin`. */
async function readFinite({ name, file }: StoredTensor, begin = 0, count?: number): Promise<Float32Array> {
  const values = await file.readFloats(name, begin, count);
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new CheckpointError(
      `${file.name}: every weight must be finite, got ${values[at]} in "${name}" at element ${begin + at}. The checkpoint is damaged or its training diverged.`,
      { file: file.name, tensor: name },
    );
  }
  return values;
}

function embeddingOf({ parameters }: WeightPlan): StoredTensor {
  const { parts } = parameters.find(({ name }) => name === "embedding") as PlannedParameter;
  return (parts[0] as PlacedPart).stored;
}

/** A tied head that is stored as well must be the embedding, or the file contradicts its configuration. */
async function requireSame(embedding: StoredTensor, { name, file, shape }: StoredTensor): Promise<void> {
  const count = elementCount(shape);
  let isSame = true;
  for (let begin = 0; isSame && begin < count; begin += PIECE) {
    const length = Math.min(PIECE, count - begin);
    const [own, head] = [await embedding.file.readFloats(embedding.name, begin, length), await file.readFloats(name, begin, length)];
    isSame = head.every((value, i) => value === own[i]);
  }
  if (isSame) return;
  throw new CheckpointError(
    `${file.name}: "${name}" must equal the embedding because config.json ties them, got other values. Set tie_word_embeddings to false.`,
    { file: file.name, tensor: name },
  );
}

/**
 * The tensors of model.safetensors under Hugging Face's names. `read` gives a parameter's values by our name; it is called once a
 * parameter, when its first tensor's turn comes.
 */
export function checkpointTensors(
  config: DecoderConfig,
  read: (parameter: string) => Promise<Float32Array> | Float32Array,
  dtype: WrittenDtype = "F32",
): WrittenTensor[] {
  const parts = familyOf(config.modelType).tensors(config);
  const order = new Map(parts.map(({ parameter }, i) => [parameter, i]));
  const grouped = [...parts].sort((a, b) => (order.get(a.parameter) as number) - (order.get(b.parameter) as number));
  let last: { readonly name: string; readonly values: Float32Array } | undefined;
  return grouped.map((part) => ({
    name: part.name,
    dtype,
    shape: part.shape,
    data: async () => {
      if (last?.name !== part.parameter) last = { name: part.parameter, values: await read(part.parameter) };
      return extractPart(part, last.values);
    },
  }));
}
