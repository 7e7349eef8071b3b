/** A model's parameters from its device, whatever they are kept in. */
import type { Decoder } from "../models/decoder";
import { readValues } from "../nn/parameter-values";
import { unpackRows } from "./pack-weights";

/** Reads parameters of a decoder's base by name, in f32: what is in low precision is decoded. */
export function parameterReader({ device, parameters }: Pick<Decoder, "device" | "parameters">): (name: string) => Promise<Float32Array> {
  return async (name) => {
    const weight = parameters.weight(name);
    if (!("packed" in weight)) return readValues(device, weight);
    return unpackRows(weight.format, (await device.read(weight.packed)) as Uint32Array, weight.shape[1] as number);
  };
}
