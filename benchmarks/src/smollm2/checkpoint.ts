/** A checkpoint of SmolLM2-135M's shape with random weights in bf16, as the hub has it: made here, since no benchmark downloads a model. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDevice, newLanguageModel, saveModel, Tokenizer } from "@trimtab/node";

/** As in HuggingFaceTB/SmolLM2-135M's config.json: 134,515,008 parameters with 30 layers. */
const SHAPE = {
  hiddenSize: 576,
  heads: 9,
  kvHeads: 3,
  intermediateSize: 1536,
  vocabSize: 49152,
  maxPositions: 8192,
  positions: { kind: "rope", theta: 100000, scaling: { type: "default" } },
} as const;

export interface Checkpoint {
  readonly path: string;
  readonly layers: number;
  readonly parameters: number;
  readonly remove: () => void;
}

/** `quick` has three of the thirty layers. */
export async function makeCheckpoint({ quick }: { readonly quick: boolean }): Promise<Checkpoint> {
  const layers = quick ? 3 : 30;
  const device = await createDevice("wasm", { relaxed: false });
  const tokenizer = Tokenizer.train(["a few words of English"], { vocabSize: 300 });
  const model = newLanguageModel(device, { ...SHAPE, layers }, tokenizer, 1);
  const path = mkdtempSync(join(tmpdir(), "trimtab-smollm2-"));
  await saveModel(model, path, { dtype: "bfloat16" });
  const parameters = model.decoder.parameters.count;
  await device.destroy();
  return { path, layers, parameters, remove: () => rmSync(path, { recursive: true }) };
}
