/** An adapter folded into its base's weights, and the base's own bits back again. */
import { allocate, type Tensor } from "../tensor/tensor";
import { mergedWeight } from "./adapted-linear";
import type { Decoder } from "./decoder";

/** A decoder of its own that does what the adapted one does; base and adapter stay as they are. The caller disposes of it. Throws as {@link mergeAdapter}. */
export function mergedCopy(adapted: Decoder): Decoder {
  const copy = adapted.withAdapter(undefined).clone();
  try {
    mergeAdapter(copy.withAdapter(adapted.adapter), { keep: false });
    return copy;
  } catch (error) {
    copy.dispose();
    throw error;
  }
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
 * `unmerge` throws.
 */
export function mergeAdapter(adapted: Decoder, { keep = true }: { readonly keep?: boolean } = {}): MergedBase {
  const { adapter, device, parameters } = adapted;
  if (!adapter) throw new TypeError("mergeAdapter: the decoder must have an adapter, got none. Put one on with withAdapter.");
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
  for (const { parameter } of adapter.saved) replace(parameters.get(parameter).value, adapter.parameters.get(parameter).value);
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
