/** Whether a model fits a device, asked before anything is read or allocated. */
import { type Device, elementCount, OutOfMemoryError, packedRowWords, WEIGHT_FORMATS } from "@trimtab/kernels";
import { type DecoderConfig, ropeRows, rotatedChannels } from "../models/config";
import { type Decoder, type LinearFormat, parameterSpecs } from "../models/decoder";
import type { ParameterSpec } from "../nn/parameters";
import { alignElements } from "../tensor/tensor";

export interface ModelBytes {
  /** One copy of the weights. */
  readonly weights: number;
  /** Rotary tables. */
  readonly tables: number;
  /** The largest tensor that must lie in one buffer: embeddings and heads over the vocabulary may be kept in parts. */
  readonly largest: number;
}

/** Device memory of a parameter. */
function parameterBytes({ shape, format }: ParameterSpec): number {
  if (format === undefined) return 4 * alignElements(elementCount(shape));
  const [rows, columns] = shape as [number, number];
  return 4 * alignElements(rows * packedRowWords(WEIGHT_FORMATS[format], columns));
}

/** Device memory of a model whose linear layers are in `format`; computed from two layers, so that a configuration of absurd size costs nothing to ask about. */
export function modelBytes(config: DecoderConfig, format?: LinearFormat): ModelBytes {
  const specs = (layers: number) => parameterSpecs({ ...config, layers }, format);
  const sizes = (layers: number) => specs(layers).map(parameterBytes);
  const sum = (list: readonly number[]) => list.reduce((total, size) => total + size, 0);
  const one = sizes(1);
  const perLayer = sum(sizes(2)) - sum(one);
  const table = 4 * ropeRows(config) * (rotatedChannels(config) / 2);
  const isTwofold = config.positions.kind === "rope" && config.positions.local !== undefined;
  return {
    weights: sum(one) + (config.layers - 1) * perLayer,
    tables: (isTwofold ? 4 : 2) * table,
    largest: specs(1).reduce((most, spec) => (spec.isTable ? most : Math.max(most, parameterBytes(spec))), table),
  };
}

/** Throws OutOfMemoryError unless the device has room for `copies` of the weights (1 to run; 4 to train: gradients and two moments). */
export function requireRoom(device: Device, config: DecoderConfig, copies = 1, format?: LinearFormat): void {
  const { memoryBytes, maxBufferBytes, name } = device.info;
  const { weights, tables, largest } = modelBytes(config, format);
  if (largest > maxBufferBytes) {
    throw new OutOfMemoryError(
      `requireRoom: the model's largest tensor beside embeddings and heads must fit one buffer of ${inMiB(maxBufferBytes)} on ${name}, got ${inMiB(largest)}. Load linear layers in low precision (dtype), or use another device or a smaller model.`,
      largest,
      maxBufferBytes,
    );
  }
  if (memoryBytes === undefined) return;
  const needed = copies * weights + tables;
  const free = Math.max(0, memoryBytes - device.counters.liveBytes);
  if (needed <= free) return;
  const what = copies === 1 ? "the model" : `the model's ${copies} copies of its weights`;
  throw new OutOfMemoryError(
    `requireRoom: ${what} must fit the ${inMiB(free)} that ${name} has left, got a need of ${inMiB(needed)}. Use a device with more memory or a smaller model.`,
    needed,
    free,
  );
}

/** {@link requireRoom} for training: of an adapted decoder only the adapter is copied. Throws ConfigError for a whole one in low precision. */
export function requireTrainingRoom(decoder: Decoder, copies: number): void {
  const { adapter, config, device } = decoder;
  if (!adapter) {
    decoder.parameters.requireTrainable();
    requireRoom(device, config, copies);
    return;
  }
  const { memoryBytes, name } = device.info;
  if (memoryBytes === undefined) return;
  const needed = copies * adapter.parameters.shards.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
  const free = Math.max(0, memoryBytes - device.counters.liveBytes);
  if (needed <= free) return;
  throw new OutOfMemoryError(
    `requireTrainingRoom: ${copies} copies of the adapter must fit the ${inMiB(free)} that ${name} has left, got a need of ${inMiB(needed)}. Use a lower rank or fewer modules.`,
    needed,
    free,
  );
}

const inMiB = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString("en-US")} MiB`;
