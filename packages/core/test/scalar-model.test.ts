/** Score heads: transformers' sequence classification in and out, its rewards and values, its gradients, and what is refused. */
/// <reference types="node" />
import { readFileSync } from "node:fs";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterAll, describe, expect, it } from "vitest";
import golden from "../../../fixtures/models/rewards.json";
import { binary } from "../src/autograd/elementwise";
import { sum } from "../src/autograd/segment";
import { Tape } from "../src/autograd/tape";
import { loadConfig, loadDecoder } from "../src/checkpoint/decoder-weights";
import { readJson } from "../src/checkpoint/json-file";
import { SafetensorsFile } from "../src/checkpoint/safetensors";
import { saveLanguageModel } from "../src/models/language-model";
import { newScalarModel, rowScores, scalarModel, scoresOf } from "../src/models/scalar-model";
import { describeDevices, slack } from "./devices";
import { at, diskDirectory, MemoryDirectory, safetensorsBytes } from "./fixture-files";
import { parseSafetensors } from "./independent-safetensors";
import { byteTokenizer, tinyModel } from "./trainer-model";

const folder = diskDirectory(at("fixtures/models/llama-seqcls"));
const io = await SafetensorsFile.open((await folder.open("io.safetensors"))!);
const grads = await SafetensorsFile.open((await folder.open("grads.safetensors"))!);

/** A tensor of small 64-bit integers. */
async function int64(name: string): Promise<number[]> {
  const bytes = Uint8Array.from(await io.readBytes(name));
  return Array.from(new BigInt64Array(bytes.buffer), Number);
}

/** The rows without their padding. */
async function rows() {
  const [ids, mask] = [await int64("input_ids"), await int64("attention_mask")];
  const [count, width] = (io.tensors.get("input_ids") as { shape: readonly number[] }).shape as [number, number];
  const kept = Array.from({ length: count }, (_, s) => Array.from({ length: width }, (_, t) => s * width + t).filter((i) => mask[i] === 1));
  const offsets = Uint32Array.from([0, ...kept.map((_, s) => kept.slice(0, s + 1).flat().length)]);
  return { tokens: Uint32Array.from(kept.flat(), (i) => ids[i] as number), offsets, places: kept.flat(), count };
}

describeDevices("a reward model of transformers", (device) => {
  it("gives its rewards and the values of every token", async () => {
    const decoder = await loadDecoder(device, folder);
    const model = scalarModel({ decoder, tokenizer: byteTokenizer });
    const { places, ...batch } = await rows();
    const tape = new Tape(device, { grad: false });
    const rewards = await device.read(rowScores(tape, model, batch));
    const values = await device.read(scoresOf(tape, decoder.forward(tape, batch), model.score));
    const [expectedRewards, expectedValues] = [await io.readFloats("rewards"), await io.readFloats("token_values")];
    const tolerance = 5e-5 * slack(device);
    expectedRewards.forEach((reward, s) => {
      expect(Math.abs((rewards[s] as number) - reward)).toBeLessThan(tolerance);
    });
    places.forEach((place, n) => {
      expect(Math.abs((values[n] as number) - (expectedValues[place] as number))).toBeLessThan(tolerance);
    });
    tape.dispose();
    decoder.dispose();
  });
});

describe("reward models of every family", () => {
  it.each(Object.entries(golden.models))("%s gives transformers' rewards", async (name, { config, score, rows, rewards }) => {
    const device = createReferenceDevice();
    const path = at(`fixtures/models/${name}`);
    const { tensors } = parseSafetensors(readFileSync(`${path}/model.safetensors`));
    tensors.delete("lm_head.weight");
    const head = new Uint8Array(Float32Array.from(score).buffer);
    tensors.set("score.weight", { dtype: "F32", shape: [1, score.length], bytes: head });
    const header: Record<string, object> = {};
    const data: Uint8Array[] = [];
    let end = 0;
    for (const [tensor, { dtype, shape, bytes }] of tensors) {
      header[tensor] = { dtype, shape, data_offsets: [end, end + bytes.length] };
      data.push(bytes);
      end += bytes.length;
    }
    const json = { ...JSON.parse(readFileSync(`${path}/config.json`, "utf8")), ...config };
    const directory = new MemoryDirectory([
      ["config.json", JSON.stringify(json)],
      ["model.safetensors", safetensorsBytes(JSON.stringify(header), Buffer.concat(data))],
    ]);
    const model = scalarModel({ decoder: await loadDecoder(device, directory), tokenizer: byteTokenizer });
    const tape = new Tape(device, { grad: false });
    const offsets = Uint32Array.from([0, ...rows.map((_, s) => rows.slice(0, s + 1).flat().length)]);
    const given = (await device.read(rowScores(tape, model, { tokens: Uint32Array.from(rows.flat()), offsets }))) as Float32Array;
    expect(given).toHaveLength(rewards.length);
    rewards.forEach((reward, s) => {
      expect(Math.abs((given[s] as number) - reward)).toBeLessThan(5e-5);
    });
    tape.dispose();
    await device.destroy();
  });
});

describe("score heads", () => {
  const device = createReferenceDevice();
  afterAll(() => device.destroy());

  it("gradients reach the head and the trunk: those of transformers' Bradley-Terry loss", async () => {
    const decoder = await loadDecoder(device, folder);
    decoder.parameters.zeroGrads();
    const { count, ...batch } = await rows();
    const [rewards, margin] = [await io.readFloats("rewards"), io.tensors.has("margin") ? await io.readFloats("margin") : undefined];
    const pairs = count / 2;
    // d/dc of -log sigmoid(c - r - margin) + 0.01 (c + r)², averaged over pairs, worked by hand from the golden rewards.
    const slopes = Float32Array.from(rewards, (_, s) => {
      const p = s % pairs;
      const [c, r] = [rewards[p] as number, rewards[pairs + p] as number];
      const slope = -1 / (1 + Math.exp(c - r - (margin?.[p] ?? 0)));
      return ((s < pairs ? slope : -slope) + 0.02 * (c + r)) / pairs;
    });
    const tape = new Tape(device);
    const scores = rowScores(tape, scalarModel({ decoder, tokenizer: byteTokenizer }), batch);
    tape.backward([[scores, tape.constant(slopes)]]);
    tape.dispose();
    for (const [ours, theirs] of [
      ["score", "score.weight"],
      ["embedding", "model.embed_tokens.weight"],
      ["layers.0.mlp.down", "model.layers.0.mlp.down_proj.weight"],
    ] as const) {
      const got = (await device.read(decoder.parameters.get(ours).grad!)) as Float32Array;
      const expected = await grads.readFloats(theirs);
      const norm = Math.hypot(...expected);
      expect(Math.hypot(...got.map((g, i) => g - (expected[i] as number))) / norm, ours).toBeLessThan(2e-5);
    }
    decoder.dispose();
  });

  it("survive saving: the same configuration, architecture and weights", async () => {
    const decoder = await loadDecoder(device, folder);
    const saved = new MemoryDirectory();
    await saveLanguageModel({ decoder, tokenizer: byteTokenizer, generationConfig: { eosTokenIds: undefined, json: {} } }, saved);
    expect(await loadConfig(saved)).toEqual(decoder.config);
    const json = JSON.parse(Buffer.from(saved.files.get("config.json")!).toString());
    expect(json.architectures).toEqual(["LlamaForSequenceClassification"]);
    expect(json.id2label).toEqual({ 0: "LABEL_0" });
    const again = await loadDecoder(device, saved);
    for (const { name, value } of decoder.parameters.all) {
      expect(await device.read(again.parameters.get(name).value)).toEqual(await device.read(value));
    }
    for (const model of [decoder, again]) model.dispose();
  });

  it("a new one copies the trunk, is seeded, and does not predict tokens", async () => {
    const base = tinyModel(device);
    const [one, two, other] = [newScalarModel(base, 1), newScalarModel(base, 1), newScalarModel(base, 2)];
    const read = async (m: typeof one, name: string) => [...((await device.read(m.decoder.parameters.get(name).value)) as Float32Array)];
    expect(await read(one, "layers.0.mlp.down")).toEqual([
      ...((await device.read(base.decoder.parameters.get("layers.0.mlp.down").value)) as Float32Array),
    ]);
    expect(await read(one, "score")).toEqual(await read(two, "score"));
    expect(await read(one, "score")).not.toEqual(await read(other, "score"));
    expect(() => one.decoder.head).toThrow(/language-model head/);
    const again = newScalarModel(one, 9);
    expect(await read(again, "score")).toEqual(await read(one, "score"));
    const tape = new Tape(device);
    const hidden = tape.constant(new Float32Array(32).fill(1), [2, 16]);
    expect(() => binary(tape, "add", sum(tape, scoresOf(tape, hidden, one.score)), tape.constant(Float32Array.of(1)))).not.toThrow();
    tape.dispose();
    for (const { decoder } of [base, one, two, other, again]) decoder.dispose();
  });

  it("several labels are refused", async () => {
    const config = await readJson(folder, "config.json");
    const bad = new MemoryDirectory([["config.json", JSON.stringify({ ...config, id2label: { 0: "a", 1: "b" } })]]);
    await expect(loadConfig(bad)).rejects.toThrow(/one label, got 2/);
  });
});
