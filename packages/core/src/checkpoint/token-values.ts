/** Q and V heads as a directory of their own, with their trunk where it is not the policy's. */
import { type Device, elementCount } from "@trimtab/kernels";
import { CheckpointError } from "../errors";
import { type TokenValueShape, TokenValues } from "../models/token-values";
import { readValues } from "../nn/parameter-values";
import type { ParameterSet } from "../nn/parameters";
import { restoreParameters } from "./capture";
import { loadDecoder } from "./decoder-weights";
import type { FileContents, ReadableDirectory, WritableDirectory } from "./files";
import { jsonBytes, requireJson } from "./json-file";
import { modelFiles } from "./model-files";
import { parameterReader } from "./read-parameter";
import { SafetensorsFile } from "./safetensors";
import { writeSafetensors } from "./safetensors-writer";

const SHAPE_FILE = "token_values.json";
const HEADS_FILE = "token_values.safetensors";
const FORMAT = 1;

/** Writes the heads and, where they have a trunk of their own, that as a model directory without a tokenizer. */
export async function saveTokenValues(values: TokenValues, directory: WritableDirectory): Promise<void> {
  const { shape, decoder } = values;
  const files: Map<string, FileContents> = new Map();
  if (decoder) {
    for (const [name, contents] of modelFiles({ config: decoder.config }, parameterReader(decoder))) files.set(name, contents);
  }
  const tensors = setsOf(values).flatMap(([prefix, set]) =>
    set.all.map((parameter) => ({
      name: `${prefix}.${parameter.name}`,
      dtype: "F32" as const,
      shape: parameter.shape,
      data: () => readValues(set.device, parameter),
    })),
  );
  files.set(HEADS_FILE, writeSafetensors(tensors, HEADS_FILE));
  files.set(SHAPE_FILE, jsonBytes({ format: FORMAT, trunk: decoder ? "separate" : "shared", ...shape }));
  await directory.write(files);
}

/** Reads what {@link saveTokenValues} wrote. Throws CheckpointError naming what is missing or does not fit. The caller disposes of it. */
export async function loadTokenValues(device: Device, directory: ReadableDirectory): Promise<TokenValues> {
  const { format, trunk, ...json } = await requireJson(directory, SHAPE_FILE);
  const isShape = ["hiddenSize", "vocabSize", "width", "heads"].every(
    (field) => Number.isSafeInteger(json[field]) && (json[field] as number) > 0,
  );
  if (format !== FORMAT || !isShape || (trunk !== "shared" && trunk !== "separate")) {
    throw new CheckpointError(
      `${SHAPE_FILE}: it must describe heads in format ${FORMAT}, got format ${String(format)}. Get the file again.`,
      {
        file: SHAPE_FILE,
      },
    );
  }
  const source = await directory.open(HEADS_FILE);
  if (!source) {
    throw new CheckpointError(`${HEADS_FILE}: the file must exist in ${directory.path}, got none. Check the path.`, { file: HEADS_FILE });
  }
  const file = await SafetensorsFile.open(source);
  let values: TokenValues | undefined;
  try {
    const shape = json as unknown as TokenValueShape;
    values = new TokenValues(device, shape, trunk === "separate" ? await loadDecoder(device, directory) : undefined);
    for (const [prefix, set] of setsOf(values)) {
      const arrays = new Map<string, Float32Array>();
      for (const { name, shape: of } of set.all) {
        const tensor = `${prefix}.${name}`;
        const stored = file.tensors.get(tensor)?.shape;
        if (stored === undefined || elementCount(stored) !== elementCount(of)) {
          throw new CheckpointError(
            `${HEADS_FILE}: tensor "${tensor}" must be (${of.join(", ")}), got ${stored ? `(${stored.join(", ")})` : "none"}. Get the file again.`,
            { file: HEADS_FILE, tensor },
          );
        }
        arrays.set(name, await file.readFloats(tensor));
      }
      restoreParameters(set, arrays);
    }
    return values;
  } catch (error) {
    values?.dispose();
    throw error;
  } finally {
    await file.close();
  }
}

const setsOf = ({ q, target, v }: TokenValues): [string, ParameterSet][] => [
  ["q", q],
  ["target", target],
  ["v", v],
];
