/** Writes every model of fixtures/models as Trimtab saves it, for read-models.py: node scripts/write-models.mjs FOLDER (after `npm run build`). */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createDevice, loadModel, mergedCopy, nodeDirectory, saveModel, withAdapterFrom } from "@trimtab/node";

const folder = process.argv[2];
const fixtures = fileURLToPath(new URL("../fixtures/models/", import.meta.url));
const adapters = ["lora", "rslora", "dora"];
const models = readdirSync(fixtures).filter((name) => !name.includes(".") && !adapters.includes(name) && !/hubnames|sharded/.test(name));
const device = await createDevice("wasm", { threads: 1 });

/** A fixture with a tokenizer of as many words as the model knows, which loading asks for. */
function withTokenizer(name) {
  const directory = join(folder, "read", name);
  mkdirSync(directory, { recursive: true });
  for (const file of readdirSync(fixtures + name)) copyFileSync(`${fixtures}${name}/${file}`, join(directory, file));
  const { vocab_size: size } = JSON.parse(readFileSync(join(directory, "config.json"), "utf8"));
  const vocab = Object.fromEntries(Array.from({ length: size }, (_, id) => [id === 3 ? "<unk>" : `w${id}`, id]));
  writeFileSync(
    join(directory, "tokenizer.json"),
    JSON.stringify({ added_tokens: [], model: { type: "WordLevel", unk_token: "<unk>", vocab } }),
  );
  return directory;
}

for (const name of models) {
  const model = await loadModel(withTokenizer(name), { device });
  await saveModel(model, join(folder, "written", name));
  await saveModel(model, join(folder, "written", `${name}.sharded`), { maxShardBytes: 40_000 });
  model.decoder.dispose();
}
const base = await loadModel(join(folder, "read", "llama-untied"), { device });
for (const name of adapters) {
  const model = await withAdapterFrom(base, nodeDirectory(fixtures + name));
  await saveModel(model, join(folder, "written", `${name}.adapter`));
  await saveModel({ ...model, decoder: mergedCopy(model.decoder) }, join(folder, "written", `${name}.merged`));
}
await device.destroy();
