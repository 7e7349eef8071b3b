/// <reference types="node" />
/** PyTorch's numbers of the golden models, and a model's own under the same names. */
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { extractPart } from "../src/checkpoint/parts";
import { SafetensorsFile } from "../src/checkpoint/safetensors";
import { type Batch, collate } from "../src/data/batch";
import type { Decoder } from "../src/models/decoder";
import { familyOf } from "../src/models/registry";
import { readValues } from "../src/nn/parameter-values";
import type { ParameterPart } from "../src/nn/parameters";
import type { Tensor } from "../src/tensor/tensor";
import { at, memorySource } from "./fixture-files";

/** Of fixtures/README.md, for the reference device; an f32 device may have up to four times as much (devices.ts, `slack`). */
export const TOLERANCE = { logits: 5e-5, logprobs: 5e-5, loss: 2e-6, gradient: 2e-5, parameters: 1e-5 };

export interface Golden {
  readonly loss: number;
  /** Absent where every gradient is whole. */
  readonly grad_stride?: Record<string, number>;
  readonly grad_norm_total: number;
  readonly adamw: {
    readonly losses_before_each_step_and_after: number[];
    readonly grad_norm_before_clip: number[];
    readonly stride: Record<string, number>;
    readonly after_f32_vs_f64_max_abs: Record<string, number>;
    readonly after_stats: Record<string, { sum: number; l2: number }>;
  };
}

export const folder = (name: string) => at(`fixtures/models/${name}`);
export const goldenOf = (name: string): Golden => JSON.parse(readFileSync(`${folder(name)}/golden.json`, "utf8"));

export async function openFile(name: string, file: string): Promise<SafetensorsFile> {
  return SafetensorsFile.open(memorySource(file, readFileSync(`${folder(name)}/${file}`)));
}

/** Inputs and outputs of a padded batch, cut to the tokens that are real. */
export interface Io {
  readonly batch: Batch;
  /** Of every real token: (N, V). */
  readonly logits: Float32Array;
  /** Of every target: (M). */
  readonly logprobs: Float32Array | undefined;
}

export async function readIo(name: string): Promise<Io> {
  const file = await openFile(name, "io.safetensors");
  const integers = async (tensor: string) => {
    const { buffer } = await file.readBytes(tensor);
    return file.tensors.get(tensor)?.dtype === "I32" ? Array.from(new Int32Array(buffer)) : Array.from(new BigInt64Array(buffer), Number);
  };
  const logits = file.tensors.has("logits") ? "logits" : "logits_f32_from_bf16_weights";
  const [rows, width, vocabSize] = (file.tensors.get(logits)?.shape ?? []) as unknown as [number, number, number];
  const ids = await integers("input_ids");
  const mask = file.tensors.has("attention_mask") ? await integers("attention_mask") : ids.map(() => 1);
  const lengths = Array.from({ length: rows }, (_, r) => mask.slice(r * width, (r + 1) * width).reduce((a, b) => a + b, 0));
  const sequences = lengths.map((length, r) => ({
    tokens: Uint32Array.from(ids.slice(r * width, r * width + length)),
    mask: new Uint8Array(length).fill(1),
  }));
  /** The first `count(row)` entries of each row, `size` values each. */
  const cut = (values: Float32Array, stride: number, size: number, count: (row: number) => number) =>
    Float32Array.from(lengths.flatMap((_, r) => [...values.subarray(r * stride * size, (r * stride + count(r)) * size)]));
  const length = (r: number) => lengths[r] as number;
  return {
    batch: collate(sequences, vocabSize),
    logits: cut(await file.readFloats(logits), width, vocabSize, length),
    logprobs: file.tensors.has("logprobs") ? cut(await file.readFloats("logprobs"), width - 1, 1, (r) => length(r) - 1) : undefined,
  };
}

/** Parameters, or their gradients, under the checkpoint's names. */
export async function exported(decoder: Decoder, of: (part: ParameterPart) => Tensor | undefined): Promise<Map<string, Float32Array>> {
  const tensors = new Map<string, Float32Array>();
  for (const part of familyOf(decoder.config.modelType).tensors(decoder.config)) {
    const parameter = decoder.parameters.get(part.parameter);
    if (!parameter.parts.every(of)) throw new Error(`${part.parameter} has no gradient`);
    tensors.set(part.name, extractPart(part, await readValues(decoder.device, parameter, of)));
  }
  return tensors;
}

export function worstDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) worst = Math.max(worst, Math.abs((actual[i] as number) - (expected[i] as number)) || 0);
  expect(Array.from(actual).every(Number.isFinite)).toBe(true);
  return worst;
}

export function relativeL2(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  let difference = 0;
  let norm = 0;
  expected.forEach((value, i) => {
    difference += ((actual[i] as number) - value) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference / norm);
}
