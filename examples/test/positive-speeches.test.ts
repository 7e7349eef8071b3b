/** The example's reward cannot be cheated by repeating, and its prompts are drawn fairly and repeatably. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { positivity, repeated, repetition, valence, wordsOf } from "../positive-speeches/src/sentiment";
import { readFlags } from "../positive-speeches/src/settings";
import { loadSpeeches, openings } from "../positive-speeches/src/speeches";

describe("sentiment", () => {
  it("adds the valences of different words", () => {
    expect(valence(" a good and happy people.")).toBe(3 + 3);
    expect(valence(" a terrible war.")).toBe(-3 + -2);
    expect(valence(" the of and to.")).toBe(0);
  });

  it("counts a word once, caps the sum, and does not count a word that is cut short", () => {
    expect(valence(" good good good good good.")).toBe(3);
    expect(valence(" good happy wonderful superb excellent brilliant love.")).toBe(8);
    expect(valence(" a hopeless, bad")).toBe(valence(" a hopeless, "));
    expect(wordsOf("We don't kno")).toEqual(["we", "don't"]);
  });

  it("is not fooled by names of object members", () => {
    expect(valence(" constructor toString valueOf.")).toBe(0);
  });

  it("penalises repeated word pairs", () => {
    expect(repeated(" peace and freedom for all the world.")).toBe(0);
    expect(repeated(" good good good good good.")).toBeCloseTo(3 / 4);
    expect(repetition({ completions: [" good good good good good.", ""] })).toEqual([-6, -0]);
    const [chant, phrase] = positivity({ completions: [" good good good good good.", " a good and happy people."] });
    expect(chant).toBeLessThan(phrase as number);
  });
});

describe("speeches", () => {
  const speeches = loadSpeeches();

  it("holds speeches out, and never trains on a held-out prompt", () => {
    expect(speeches.training.length).toBeGreaterThan(60);
    expect(speeches.heldOut.length).toBeGreaterThan(5);
    const training = new Set(speeches.training.map((s) => s.text));
    expect(speeches.heldOut.some((s) => training.has(s.text))).toBe(false);
  });

  it("draws different prompts, the same ones from the same seed", () => {
    const prompts = openings(speeches.heldOut, 256, 8, 1);
    expect(new Set(prompts).size).toBe(256);
    expect(prompts.every((p) => p.split(" ").length === 8)).toBe(true);
    expect(openings(speeches.heldOut, 256, 8, 1)).toEqual(prompts);
    expect(openings(speeches.heldOut, 256, 8, 2)).not.toEqual(prompts);
    expect(() => openings(speeches.heldOut, 1e6, 8, 1)).toThrow(/1000000 prompts need as many sentences/);
  });
});

describe("flags", () => {
  it("are checked", () => {
    expect(readFlags(["--steps", "3", "--device", "webgpu"])).toMatchObject({ steps: 3, device: "webgpu", seed: 1 });
    expect(() => readFlags(["--steps", "many"])).toThrow(/--steps: it must be a whole number, got many/);
    expect(() => readFlags(["--stepz", "3"])).toThrow(/stepz/);
  });
});

describe("the program, small", () => {
  const main = fileURLToPath(new URL("../positive-speeches/dist/main.js", import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), "trimtab-speeches-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const run = async (name: string, ...flags: string[]) => {
    const output = join(folder, name);
    await promisify(execFile)(process.execPath, [main, "--small", "--output", output, ...flags]);
    return { output, verdict: JSON.parse(readFileSync(join(output, "verdict.json"), "utf8")) };
  };

  it("reads, learns to be positive, and leaves a report and a model", { timeout: 300_000 }, async () => {
    const { output, verdict } = await run("whole");
    expect(verdict.heldOutPrompts).toBe(256);
    expect(verdict.bitsPerByte).toBeLessThan(2.6);
    expect(verdict.rewardGainInDeviations).toBeGreaterThan(0.5);
    expect(verdict.rewardGainInterval95[0]).toBeGreaterThan(0);
    expect(verdict.distinct2[1]).toBeGreaterThan(0.6);
    expect(readFileSync(join(output, "report.html"), "utf8")).toContain("KL to the starting policy");
    for (const file of ["metrics.jsonl", "model/config.json", "model/model.safetensors", "model/tokenizer.json"]) {
      expect(existsSync(join(output, file)), file).toBe(true);
    }
  });

  it("gives the same bits for a seed, whatever the number of threads, and others for another seed", { timeout: 300_000 }, async () => {
    const short = ["--pretrain-steps", "8", "--steps", "2"];
    const [one, two, other] = [
      await run("one", ...short, "--threads", "1"),
      await run("two", ...short, "--threads", "2"),
      await run("other", ...short, "--seed", "2"),
    ];
    const weights = ({ output }: { output: string }) => readFileSync(join(output, "model", "model.safetensors"));
    expect(two.verdict).toEqual(one.verdict);
    expect(weights(two).equals(weights(one))).toBe(true);
    expect(weights(other).equals(weights(one))).toBe(false);
  });
});
