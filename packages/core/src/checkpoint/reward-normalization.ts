/** The gain and bias of a reward model in its directory, beside a checkpoint format that has no place for them. */
import { CheckpointError } from "../errors";
import type { RewardNormalization } from "../rl/reward-normalization";
import type { ReadableDirectory, WritableDirectory } from "./files";
import { jsonBytes, readJson } from "./json-file";

export const NORMALIZATION_FILE = "reward_normalization.json";

/** Writes `reward_normalization.json`. */
export async function saveRewardNormalization({ gain, bias }: RewardNormalization, directory: WritableDirectory): Promise<void> {
  await directory.write(new Map([[NORMALIZATION_FILE, jsonBytes({ gain, bias })]]));
}

/** A directory in which every write also puts this normalisation, or removes an older model's where there is none. */
export function besideNormalization(normalization: RewardNormalization | undefined, directory: WritableDirectory): WritableDirectory {
  return {
    path: directory.path,
    write(files, options = {}) {
      const own = normalization && ([NORMALIZATION_FILE, jsonBytes({ gain: normalization.gain, bias: normalization.bias })] as const);
      return directory.write(new Map([...files, ...(own ? [own] : [])]), {
        ...options,
        remove: [...(options.remove ?? []), NORMALIZATION_FILE],
      });
    },
  };
}

/** Reads it; gain 1 and bias 0 where there is none. Throws CheckpointError where it holds anything but two finite numbers. */
export async function loadRewardNormalization(directory: ReadableDirectory): Promise<RewardNormalization> {
  const { gain, bias } = (await readJson(directory, NORMALIZATION_FILE)) ?? { gain: 1, bias: 0 };
  if (typeof gain === "number" && typeof bias === "number" && Number.isFinite(gain) && Number.isFinite(bias)) return { gain, bias };
  throw new CheckpointError(
    `${NORMALIZATION_FILE}: gain and bias must be finite numbers, got ${String(gain)} and ${String(bias)}. Normalise the model again.`,
    {
      file: NORMALIZATION_FILE,
    },
  );
}
