/** An adapter folded into its base's weights, and the base's own bits back again. */
import { ConfigError } from "../errors";
import { copyValues } from "../nn/parameter-values";
import type { ParameterPart } from "../nn/parameters";
import { unpackInto } from "../nn/unpacked";
import { allocate, type Tensor } from "../tensor/tensor";
import { mergedWeight } from "./adapted-linear";
import { Decoder } from "./decoder";

/**
 * A decoder of its own that does what the adapted one does; base and adapter stay as they are. It is in f32 throughout: a base in low precision is
 * decoded and the update added to the values that it stands for, as the adapter was trained on them. The caller disposes of it. Throws as
 * {@link mergeAdapter}.
 */
export function mergedCopy(adapted: Decoder): Decoder {
  const copy = copyInF32(adapted);
  try {
    mergeAdapter(copy.withAdapter(adapted.adapter), { keep: false });
    return copy;
  } catch (error) {
    copy.dispose();
    throw error;
  }
}

/** The base of a decoder in f32, with weights of its own. */
function copyInF32({ device, config, parameters }: Decoder): Decoder {
  const copy = new Decoder(device, config);
  for (const parameter of copy.parameters.all) {
    const weight = parameters.weight(parameter.name);
    if ("packed" in weight) unpackInto(device, weight, parameter.value);
    else copyValues(device, weight, parameter);
  }
  return copy;
}

/** A base that holds an adapter's update. */
export interface MergedBase {
  /** The base: it does what the adapted decoder did. */
  readonly decoder: Decoder;
  /** Restores the base's weights, to the last bit. */
  unmerge(): void;
}

/**
 * Writes W + s B A (DoRA: g ⊙ of it) and the saved modules over the base's weights, for every view of that base. What was there is kept on the
 * device until `unmerge`, which copies it back: subtracting the update would leave its rounding. With `keep: false` nothing is kept, and
 * `unmerge` throws. Throws ConfigError where the base is in low precision, which could not hold the update.
 */
export function mergeAdapter(adapted: Decoder, { keep = true }: { readonly keep?: boolean } = {}): MergedBase {
  const { adapter, device, parameters } = adapted;
  if (!adapter) throw new TypeError("mergeAdapter: the decoder must have an adapter, got none. Put one on with withAdapter.");
  const [packed] = parameters.packed;
  if (packed) {
    throw new ConfigError(
      `mergeAdapter: the base must be in float32 to hold the update, got ${packed.format}. Use mergedCopy, or load the base in float32.`,
    );
  }
  const kept: { readonly weight: Tensor; readonly copy: Tensor }[] = [];
  const replace = (weight: Tensor, by: Tensor) => {
    if (keep) {
      const copy = allocate(device, weight.shape);
      device.copy(weight, copy);
      kept.push({ weight, copy });
    }
    device.copy(by, weight);
  };
  for (const group of adapter.groups.values()) {
    const weight = parameters.get(group.parameter);
    const merged = mergedWeight(adapter, group, weight);
    replace(weight.value, merged);
    device.free(merged.buffer);
  }
  for (const { parameter } of adapter.saved) {
    const { parts } = adapter.parameters.get(parameter);
    parameters.get(parameter).parts.forEach(({ value }, i) => {
      replace(value, (parts[i] as ParameterPart).value);
    });
  }
  let isMerged = true;
  return {
    decoder: adapted.withAdapter(undefined),
    unmerge() {
      if (!keep || !isMerged)
        throw new TypeError("unmerge: the base must be merged, and its weights kept. Merge with keep, and unmerge once.");
      isMerged = false;
      for (const { weight, copy } of kept) {
        device.copy(copy, weight);
        device.free(copy.buffer);
      }
    },
  };
}
