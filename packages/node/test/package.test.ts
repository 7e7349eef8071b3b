/** The packed packages install in an empty project and train there, as a user would use them. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, it } from "vitest";

const run = promisify(execFile);
const packages = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "trimtab-package-"));
afterAll(() => rmSync(folder, { recursive: true }));

const PROGRAM = `
import { createDevice, generate, loadModel, newLanguageModel, saveModel, sft, Tokenizer } from "@trimtab/node";

const dataset = Array.from({ length: 8 }, () => ({ text: "Peace and freedom are the hope of the world." }));
const device = await createDevice("wasm", { threads: 2 });
const tokenizer = Tokenizer.train(dataset.map((row) => row.text), { vocabSize: 280 });
const model = newLanguageModel(device, { hiddenSize: 32, layers: 1, heads: 2 }, tokenizer, 1);
const losses = [];
for await (const { metrics } of sft({ model, dataset, maxSteps: 30, learningRate: 1e-2 })) losses.push(metrics.loss);
await saveModel(model, "model");
const [completion] = await generate({ model: await loadModel("model", { device }), prompts: ["Peace and"], temperature: 0, maxNewTokens: 12 });
await device.destroy();
console.log(JSON.stringify({ first: losses[0], last: losses.at(-1), text: completion.text }));
`;

it("packs, installs and trains", { timeout: 300_000 }, async () => {
  for (const name of ["kernels", "core", "node"])
    await run("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: join(packages, name) });
  const tarballs = readdirSync(folder).map((name) => `./${name}`);
  expect(tarballs).toHaveLength(3);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  await run("npm", ["install", "--omit=optional", "--prefer-offline", "--no-audit", "--no-fund", ...tarballs], { cwd: folder });
  writeFileSync(join(folder, "program.js"), PROGRAM);
  const { stdout } = await run(process.execPath, ["program.js"], { cwd: folder });
  const result = JSON.parse(stdout);
  expect(result.last).toBeLessThan(result.first / 4);
  expect(result.text).toBe(" freedom are the hope of the world.");
  const trimtab = join("node_modules", ".bin", "trimtab");
  expect((await run(trimtab, ["--version"], { cwd: folder })).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const devices = await run(trimtab, ["devices"], { cwd: folder });
  expect(devices.stdout).toMatch(/\* wasm[\s\S]*reference/);
  expect(devices.stdout).toMatch(/webgpu +not here: .*npm install webgpu/);
});
