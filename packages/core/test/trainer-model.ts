/** A tiny language model over bytes for the trainers' tests. */
import type { Device, DispatchArgs, EntryPoint } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { Decoder } from "../src/models/decoder";
import { Tokenizer } from "../src/tokenizer/tokenizer";
import type { TrainingModel } from "../src/trainers/training-model";
import { llamaConfig } from "./generate-model";

const END = "<|endoftext|>";

/** 257 tokens: the end of text (0) and the bytes. */
export const byteTokenizer = Tokenizer.train(["abc"], { vocabSize: 257, specialTokens: [END], eosToken: END });

/** One layer of 16 channels with random weights; `vocabSize` may cut the vocabulary for speed where only low ids occur. */
export function tinyModel(device: Device, options: { seed?: number; initializerRange?: number } = {}): TrainingModel {
  const decoder = new Decoder(device, {
    ...llamaConfig,
    vocabSize: byteTokenizer.vocabSize,
    layers: 1,
    tied: true,
    bosTokenId: undefined,
    eosTokenIds: [byteTokenizer.eosTokenId as number],
    initializerRange: options.initializerRange ?? 0.1,
  });
  decoder.parameters.initialise(options.seed ?? 5);
  return { decoder, tokenizer: byteTokenizer };
}

/** The reference device with f32 storage: what a device must be for its state to survive a file bit for bit. */
export function createRoundedDevice(): Device {
  const device = createReferenceDevice();
  const dispatch = device.dispatch.bind(device);
  return Object.assign(device, {
    dispatch(entry: EntryPoint, args: DispatchArgs) {
      dispatch(entry, args);
      for (const { name, role, dtype } of entry.tensors) {
        const tensor = args.tensors[name];
        if (tensor && role !== "in" && dtype === "f32") device.writeF64(tensor, device.readF64(tensor).map(Math.fround));
      }
    },
  });
}

/** Every weight, for comparing bits. */
export async function weightsOf(model: TrainingModel): Promise<Float32Array[]> {
  const { device, parameters } = model.decoder;
  return Promise.all(parameters.shards.map(async (shard) => (await device.read(shard)) as Float32Array));
}

/** ‖a - b‖ / ‖b‖ over all weights or gradients. */
export function relativeDistance(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let [difference, norm] = [0, 0];
  b.forEach((flat, shard) => {
    flat.forEach((value, i) => {
      difference += (((a[shard] as Float32Array)[i] as number) - value) ** 2;
      norm += value ** 2;
    });
  });
  return Math.sqrt(difference / norm);
}

/** Runs a trainer to its end and returns its steps. */
export async function allOf<T>(steps: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const step of steps) all.push(step);
  return all;
}
