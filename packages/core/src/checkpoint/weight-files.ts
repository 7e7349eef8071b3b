/** The weights of a Hugging Face directory as one name space: model.safetensors, or the shards of its index. */
import { CheckpointError } from "../errors";
import type { ReadableDirectory } from "./files";
import { describe, type JsonObject, readJson } from "./json-file";
import { SafetensorsFile } from "./safetensors";
import type { TensorEntry } from "./safetensors-header";

export const SINGLE_FILE = "model.safetensors";
export const INDEX_FILE = "model.safetensors.index.json";

/** A tensor and the file that holds it. */
export interface StoredTensor extends TensorEntry {
  readonly name: string;
  readonly file: SafetensorsFile;
}

export interface WeightFiles {
  readonly tensors: readonly StoredTensor[];
  close(): Promise<void>;
}

/** Opens model.safetensors or every shard of the index and checks that index and headers agree. */
export async function openWeights(directory: ReadableDirectory): Promise<WeightFiles> {
  const single = await directory.open(SINGLE_FILE);
  if (single) return collect([await SafetensorsFile.open(single)]);
  const index = await readJson(directory, INDEX_FILE);
  if (!index) {
    throw new CheckpointError(
      `${SINGLE_FILE}: weights must be in ${SINGLE_FILE} or in the shards of ${INDEX_FILE}, got neither in ${directory.path}. Convert other formats to safetensors.`,
      { file: SINGLE_FILE },
    );
  }
  const shardOf = readWeightMap(index.weight_map);
  const files: SafetensorsFile[] = [];
  try {
    for (const name of new Set(shardOf.values())) {
      const source = await directory.open(name);
      if (!source) {
        throw new CheckpointError(`${name}: the shard that ${INDEX_FILE} names must exist in ${directory.path}, got none. Get the file.`, {
          file: name,
        });
      }
      files.push(await SafetensorsFile.open(source));
    }
    for (const file of files) checkShard(file, shardOf);
    for (const [tensor, shard] of shardOf) {
      if (!files.some(({ name, tensors }) => name === shard && tensors.has(tensor))) {
        throw new CheckpointError(
          `${shard}: tensor "${tensor}" must be in the shard that ${INDEX_FILE} names, got none. Get the file again.`,
          {
            file: shard,
            tensor,
          },
        );
      }
    }
  } catch (error) {
    await closeAll(files);
    throw error;
  }
  return collect(files);
}

function collect(files: readonly SafetensorsFile[]): WeightFiles {
  return {
    tensors: files.flatMap((file) => [...file.tensors].map(([name, entry]) => ({ ...entry, name, file }))),
    close: () => closeAll(files),
  };
}

async function closeAll(files: readonly SafetensorsFile[]): Promise<void> {
  for (const file of files) await file.close();
}

/** The shards that an index names, as its parsed JSON. Throws CheckpointError for names that lead out of the directory. */
export function shardsOfIndex(index: JsonObject): string[] {
  return [...new Set(readWeightMap(index.weight_map).values())];
}

/** Tensor name to shard, whose name must not lead out of the directory. */
function readWeightMap(value: unknown): Map<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CheckpointError(`${INDEX_FILE}: \`weight_map\` must be an object, got ${describe(value)}. Get the file again.`, {
      file: INDEX_FILE,
    });
  }
  const entries = Object.entries(value);
  for (const [tensor, shard] of entries) {
    if (typeof shard !== "string" || !/^[^/\\]+\.safetensors$/.test(shard)) {
      throw new CheckpointError(`${INDEX_FILE}: the shard of "${tensor}" must be a .safetensors file name, got ${describe(shard)}.`, {
        file: INDEX_FILE,
        tensor,
      });
    }
  }
  return new Map(entries as [string, string][]);
}

function checkShard(file: SafetensorsFile, shardOf: ReadonlyMap<string, string>): void {
  for (const tensor of file.tensors.keys()) {
    const shard = shardOf.get(tensor);
    if (shard === file.name) continue;
    throw new CheckpointError(
      `${file.name}: tensor "${tensor}" must be where ${INDEX_FILE} says, which is ${shard ?? "nowhere"}. The files do not belong together.`,
      { file: file.name, tensor },
    );
  }
}
