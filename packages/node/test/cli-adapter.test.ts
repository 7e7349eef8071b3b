/** `--use-peft` and `trimtab merge`: an adapter trained, used, trained on, and merged, all from the command line. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, it } from "vitest";
import { runMerge } from "../src/cli/commands/merge";
import { runSft } from "../src/cli/commands/sft";
import { resolveOptions } from "../src/cli/options";
import { mergeSchema } from "../src/cli/schemas/merge";
import { sftSchema } from "../src/cli/schemas/sft";
import { loadModel, saveModel } from "../src/model";

const folder = mkdtempSync(join(tmpdir(), "trimtab-adapter-"));
const at = (name: string) => join(folder, name);
const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));

describe("an adapter from the command line", () => {
  it("is trained, used, trained on, and merged", async () => {
    const { newLanguageModel } = await import("@trimtab/core");
    const device = createReferenceDevice();
    const tokenizer = Tokenizer.train(["abc"], { vocabSize: 257, eosToken: "<|endoftext|>" });
    const shape = { hiddenSize: 16, layers: 1, heads: 2, maxPositions: 32 };
    await saveModel(newLanguageModel(device, shape, tokenizer, 1), at("base"));
    writeFileSync(at("data.jsonl"), ["abab", "abba"].map((text) => JSON.stringify({ text })).join("\n"));
    const shared = { device: "reference", datasetName: at("data.jsonl"), maxSteps: 2, saveSteps: 1, report: false };
    const sft = (options: Record<string, unknown>) => runSft(resolveOptions("sft", sftSchema, { ...shared, ...options }));

    const peft = { usePeft: true, loraR: 2, loraAlpha: 4, loraTargetModules: ["q_proj", "down_proj"], learningRate: 0.01 };
    expect(await sft({ modelNameOrPath: at("base"), outputDir: at("adapter"), ...peft })).toBe(0);
    expect(existsSync(join(at("adapter"), "model.safetensors"))).toBe(false);
    expect(json(join(at("adapter"), "adapter_config.json"))).toMatchObject({
      peft_type: "LORA",
      r: 2,
      lora_alpha: 4,
      lora_dropout: 0.05,
      target_modules: ["q_proj", "down_proj"],
      base_model_name_or_path: at("base"),
    });
    expect(existsSync(join(at("adapter"), "checkpoint-1", "adapter_model.safetensors"))).toBe(true);
    expect(existsSync(join(at("adapter"), "checkpoint-1", "model.safetensors"))).toBe(false);

    const resumed = { resumeFromCheckpoint: join(at("adapter"), "checkpoint-1") };
    expect(await sft({ modelNameOrPath: at("base"), outputDir: at("resumed"), ...peft, ...resumed })).toBe(0);
    const bytes = (name: string) => readFileSync(join(at(name), "adapter_model.safetensors"));
    expect(bytes("resumed").length).toBe(bytes("adapter").length);

    await expect(sft({ modelNameOrPath: at("adapter"), outputDir: at("again"), ...peft })).rejects.toThrow(/--use-peft.*got one/);
    expect(await sft({ modelNameOrPath: at("adapter"), outputDir: at("further") })).toBe(0);
    expect(bytes("further").equals(bytes("adapter"))).toBe(false);

    // QLoRA: the base in 4 bits, the same files out; without an adapter there is nothing to train.
    expect(await sft({ modelNameOrPath: at("base"), outputDir: at("qlora"), ...peft, loadIn4bit: true })).toBe(0);
    expect(bytes("qlora").length).toBe(bytes("adapter").length);
    expect(bytes("qlora").equals(bytes("adapter"))).toBe(false);
    await expect(sft({ modelNameOrPath: at("base"), outputDir: at("none"), dtype: "bfloat16" })).rejects.toThrow(
      /the weights must be in float32 to be trained whole, got bf16/,
    );
    await expect(sft({ modelNameOrPath: at("base"), outputDir: at("none"), ...peft, loadIn4bit: true, loadIn8bit: true })).rejects.toThrow(
      "--load-in-8bit and --load-in-4bit exclude each other, got both. Leave one of them out.",
    );
    await expect(sft({ modelNameOrPath: at("base"), outputDir: at("none"), ...peft, loadIn8bit: true, dtype: "float16" })).rejects.toThrow(
      /--dtype must be left out with --load-in-8bit/,
    );
    await expect(sft({ modelNameOrPath: at("base"), outputDir: at("none"), ...peft, bnb4bitQuantType: "int4" })).rejects.toThrow(
      /--bnb-4bit-quant-type is of --load-in-4bit, got int4 without it/,
    );

    const merge = (path: string) =>
      runMerge(
        resolveOptions("merge", mergeSchema, { modelNameOrPath: path, outputDir: at("merged"), device: "reference", maxShardBytes: 8000 }),
      );
    expect(await merge(at("adapter"))).toBe(0);
    expect(existsSync(join(at("merged"), "model.safetensors.index.json"))).toBe(true);
    await expect(merge(at("base"))).rejects.toThrow(/must name an adapter/);
    const [merged, adapted] = [await loadModel(at("merged"), { device }), await loadModel(at("adapter"), { device })];
    expect(merged.decoder.adapter).toBeUndefined();
    expect(adapted.decoder.adapter?.settings.modules).toHaveLength(2);

    writeFileSync(join(at("adapter"), "adapter_config.json"), JSON.stringify({ peft_type: "LORA", base_model_name_or_path: "nowhere" }));
    await expect(loadModel(at("adapter"), { device })).rejects.toMatchObject({ code: "CHECKPOINT", file: "adapter_config.json" });
  });
});
