/** `trimtab merge`: an adapter folded into its base, as a whole model. */
import { ConfigError, mergeAdapter } from "@trimtab/core";
import type { z } from "zod";
import { withDevice } from "../../device";
import { saveModel } from "../../model";
import { loadNamedModel } from "../../run/named-model";
import type { mergeSchema } from "../schemas/merge";

export async function runMerge(options: z.output<typeof mergeSchema>): Promise<number> {
  const { modelNameOrPath, modelRevision: revision, outputDir, dtype, maxShardBytes } = options;
  return withDevice(options, async (device) => {
    const model = await loadNamedModel(modelNameOrPath, { device, revision });
    if (!model.decoder.adapter) {
      throw new ConfigError(
        `--model-name-or-path: it must name an adapter, got ${modelNameOrPath}, a whole model. There is nothing to merge.`,
      );
    }
    const { decoder } = mergeAdapter(model.decoder, { keep: false });
    await saveModel({ ...model, decoder }, outputDir, { dtype, maxShardBytes });
    console.log(`Model in ${outputDir}`);
    return 0;
  });
}
