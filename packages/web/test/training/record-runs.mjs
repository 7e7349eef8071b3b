/**
 * Writes recorded-runs.json: what a reward model, DPO and two GRPO runs of a tiny model report, for tests of the training views.
 * `npm run build && node packages/web/test/training/record-runs.mjs`; wasm, strict, seeded: the same file on every machine.
 */
import { writeFileSync } from "node:fs";
import {
  batchLogprobs,
  collate,
  createDevice,
  dpo,
  grpo,
  newLanguageModel,
  newScalarModel,
  reward,
  rowScores,
  sft,
  Tape,
  Tokenizer,
  uniform,
} from "@trimtab/node";

const PROMPTS = ["Today I feel", "The weather is", "My neighbour is", "This soup is", "The old house looks", "Her song sounds"];
const GOOD = ["wonderful", "bright", "kind", "warm", "lovely"];
const BAD = ["terrible", "gloomy", "rude", "cold", "awful"];
const LINKS = [" and ", ", almost ", " but also ", " and rather "];
const ENDS = [".", " today.", ", as always.", ", I think."];

let draws = 0;
const pick = (list) => list[Math.floor(uniform(11, draws++) * list.length)];
const sentence = (prompt) => `${prompt} ${pick([...GOOD, ...BAD])}${pick(LINKS)}${pick([...GOOD, ...BAD])}${pick(ENDS)}`;
const count = (text, words) => words.reduce((sum, word) => sum + text.split(word).length - 1, 0);
const cheerful = ({ completions }) => completions.map((text) => Math.min(2, count(text, GOOD) - count(text, BAD)));
const short = ({ completionIds }) => completionIds.map((ids) => -ids.length / 20);

const texts = Array.from({ length: 600 }, (_, i) => sentence(PROMPTS[i % PROMPTS.length]));
const END = "<|endoftext|>";
const tokenizer = Tokenizer.train(texts.slice(0, 200), { vocabSize: 340, specialTokens: [END], eosToken: END });
const device = await createDevice("wasm", { relaxed: false });
const shape = { hiddenSize: 32, layers: 2, heads: 2, intermediateSize: 64, maxPositions: 64, initializerRange: 0.08 };
const fresh = () => newLanguageModel(device, shape, tokenizer, 7);
const base = fresh();
const pairs = texts.map((text) => {
  const prompt = PROMPTS.find((start) => text.startsWith(start));
  return { prompt, completion: text.slice(prompt.length) };
});
for await (const { step, metrics } of sft({
  model: base,
  dataset: pairs,
  maxSteps: 260,
  learningRate: 6e-3,
  perDeviceTrainBatchSize: 32,
})) {
  if (step % 65 === 0) console.log("sft", step, metrics.loss);
}
async function copy(model) {
  const clone = fresh();
  for (const { name, value } of clone.decoder.parameters.all)
    device.write(value, await device.read(model.decoder.parameters.get(name).value));
  return clone;
}

const rounded = (value) => (typeof value === "number" ? Number(value.toPrecision(5)) : value);
const table = (metrics) => Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, rounded(value)]));
async function logprobs(model, prompt, completion) {
  const tokens = [...tokenizer.encode(prompt), ...tokenizer.encode(completion), tokenizer.eosTokenId];
  const start = tokenizer.encode(prompt).length;
  const tape = new Tape(device);
  const out = batchLogprobs(
    tape,
    model.decoder,
    collate(
      [{ tokens: Uint32Array.from(tokens), mask: Uint8Array.from(tokens, (_, i) => (i >= start ? 1 : 0)) }],
      model.decoder.config.vocabSize,
    ),
  );
  const [logp, entropy] = [[...(await device.read(out.logp))], [...(await device.read(out.entropy))]];
  tape.dispose?.();
  return tokens
    .slice(start)
    .map((id, i) => ({ text: id === tokenizer.eosTokenId ? END : tokenizer.decode([id]), logp: logp[i], entropy: entropy[i] }));
}

const runs = [];
async function record(name, setup, steps, model, elapsedMs) {
  const history = [];
  const samples = [];
  for await (const { step, metrics, completions } of steps) {
    const shown = Object.entries(metrics).filter(([name]) => !/^(sampling|completions\/(min|max|mean_term))/.test(name));
    history.push({ step, metrics: table({ ...Object.fromEntries(shown), step_time: elapsedMs / setup.options.maxSteps / 1000 }) });
    if (!completions || (step !== 1 && step !== setup.options.maxSteps)) continue;
    const kept = [];
    for (const { prompt, completion, reward, rewards, advantage } of completions.filter((_, i) => i % 11 === 0)) {
      const now = await logprobs(model, prompt, completion);
      const before = await logprobs(base, prompt, completion);
      const tokens = now.map((token, i) => ({
        text: token.text,
        logp: rounded(token.logp),
        entropy: rounded(token.entropy),
        refLogp: rounded(before[i].logp),
        advantage: rounded(advantage),
      }));
      kept.push({ prompt, completion, reward: rounded(reward), rewards: table(rewards ?? {}), advantage: rounded(advantage), tokens });
    }
    samples.push({ step, samples: kept });
  }
  console.log(name, JSON.stringify(history.at(-1).metrics));
  runs.push({
    id: `run-${runs.length + 1}`,
    name,
    setup,
    status: "finished",
    maxSteps: setup.options.maxSteps,
    history,
    samples,
    createdAt: Date.UTC(2026, 0, 5, 9, 7 * runs.length),
    elapsedMs,
  });
}

const prompts = PROMPTS.map((prompt) => ({ prompt }));
for (const [name, beta, learningRate] of [
  ["GRPO 1", 0.08, 8e-4],
  ["GRPO 2", 0, 1.2e-3],
]) {
  const model = await copy(base);
  const options = {
    maxSteps: 60,
    learningRate,
    beta,
    logKl: true,
    numGenerations: 8,
    perDeviceTrainBatchSize: 48,
    maxCompletionLength: 16,
    temperature: 1,
    seed: 3,
  };
  const setup = { algorithm: "grpo", modelId: "base", rewards: [{ rule: "cheerful" }], options, rows: prompts };
  await record(name, setup, grpo({ model, prompts, rewards: [cheerful, short], ...options }), model, 48_000);
}

const judged = Array.from({ length: 160 }, (_, i) => {
  const prompt = PROMPTS[i % PROMPTS.length];
  const [a, b] = [sentence(prompt).slice(prompt.length), sentence(prompt).slice(prompt.length)];
  const gap = count(a, GOOD) - count(a, BAD) - count(b, GOOD) + count(b, BAD);
  const first = gap === 0 ? uniform(5, i) < 0.5 : gap > 0 !== uniform(5, i) < 0.1;
  return { prompt, chosen: first ? a : b, rejected: first ? b : a };
});
{
  const model = await copy(base);
  const options = { maxSteps: 60, learningRate: 1e-3, beta: 0.3, perDeviceTrainBatchSize: 16, seed: 3 };
  await record(
    "DPO 1",
    { algorithm: "dpo", modelId: "base", rewards: [], options, rows: judged.slice(0, 8) },
    dpo({ model, dataset: judged, ...options }),
    model,
    21_000,
  );
}
{
  const model = newScalarModel(base, 9);
  const options = { maxSteps: 60, learningRate: 2e-3, perDeviceTrainBatchSize: 16, seed: 3 };
  await record(
    "Reward model 1",
    { algorithm: "reward", modelId: "base", rewards: [], options, rows: judged.slice(0, 8) },
    reward({ model, dataset: judged.slice(0, 120), ...options }),
    model,
    12_000,
  );
  const heldOut = judged.slice(120);
  const score = async (prompt, completion) => {
    const tape = new Tape(device);
    const tokens = Uint32Array.from([...tokenizer.encode(prompt), ...tokenizer.encode(completion), tokenizer.eosTokenId]);
    const scores = rowScores(tape, model, collate([{ tokens, mask: new Uint8Array(tokens.length) }], model.decoder.config.vocabSize));
    return (await device.read(scores))[0];
  };
  const margins = [];
  for (const { prompt, chosen, rejected } of heldOut)
    margins.push(rounded((await score(prompt, chosen)) - (await score(prompt, rejected))));
  writeFileSync(new URL("recorded-runs.json", import.meta.url), `${JSON.stringify({ runs, margins })}\n`);
}
device.dispose?.();
process.exit(0);
