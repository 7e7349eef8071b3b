/** `trimtab sample` and `trimtab convert`: files in, files out, counts printed. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { DataError, type DatasetRow, newLanguageModel, saveLanguageModel, Tokenizer } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { Command } from "commander";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { z } from "zod";
import { runConvert } from "../src/cli/commands/convert";
import { runSample } from "../src/cli/commands/sample";
import { addOptions, normaliseArguments, resolveOptions } from "../src/cli/options";
import { convertSchema } from "../src/cli/schemas/convert";
import { sampleSchema } from "../src/cli/schemas/sample";
import { readDataset, writeDataset } from "../src/datasets";
import { nodeDirectory } from "../src/files";

const folder = mkdtempSync(join(tmpdir(), "trimtab-feedback-"));
const file = (name: string) => join(folder, name);
const printed: string[] = [];

const chatTemplate = "{% for m in messages %}{{ m.role }}:{{ m.content }}{% endfor %}";

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation((line: string) => void printed.push(line));
  const tokenizer = Tokenizer.train(["ab ba"], { vocabSize: 257, chatTemplate });
  const shape = { hiddenSize: 8, layers: 1, heads: 2, maxPositions: 32, initializerRange: 0.5 };
  const model = newLanguageModel(createReferenceDevice(), shape, tokenizer, 1);
  await saveLanguageModel(model, nodeDirectory(file("model")));
});
beforeEach(() => void printed.splice(0));
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

function options<S extends z.ZodObject>(schema: S, argv: string[]): z.output<S> {
  const command = addOptions(new Command("x").exitOverride().configureOutput({ writeErr: () => {} }), schema);
  command.parse(normaliseArguments(argv, schema), { from: "user" });
  return resolveOptions("trimtab x", schema, command.opts());
}

const convert = (...argv: string[]) => runConvert(options(convertSchema, argv));
const lines = (name: string): DatasetRow[] => {
  const bytes = readFileSync(file(name));
  const text = (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
};
const write = (name: string, rows: DatasetRow[]) => writeFileSync(file(name), rows.map((row) => JSON.stringify(row)).join("\n"));

describe("convert", () => {
  it("ranked lists to pairs, with counts of what went in, came out and was dropped", async () => {
    write("ranked.jsonl", [
      { prompt: "p", completions: ["a", "b", "c"], ranks: [2, 1, 2] },
      { prompt: "q", completions: ["d", "e"], ranks: [1, 2] },
    ]);
    expect(await convert("--dataset", file("ranked.jsonl"), "--to", "preference", "--output", file("new/pairs.jsonl"))).toBe(0);
    expect(lines("new/pairs.jsonl")).toEqual([
      { group: 1, prompt: "p", chosen: "b", rejected: "a" },
      { group: 1, prompt: "p", chosen: "b", rejected: "c" },
      { group: 2, prompt: "q", chosen: "d", rejected: "e" },
    ]);
    expect(printed).toEqual([
      "ranked to preference",
      `2 rows in, 3 rows out: ${file("new/pairs.jsonl")}`,
      "1 dropped: pair of equal rank (1)",
    ]);
  });

  it("reads and writes compressed files, and takes the options of ratings", async () => {
    const ratings = [5, 3, 1].map((rating, i) => JSON.stringify({ prompt: "p", completion: "abc"[i], rating, rater: "r" }));
    writeFileSync(file("ratings.jsonl.gz"), gzipSync(ratings.join("\n")));
    const shared = ["--dataset", file("ratings.jsonl.gz"), "--output", file("out.jsonl.gz")];
    await convert(...shared, "--to", "unpaired", "--scale", "1,5");
    expect(lines("out.jsonl.gz").map(({ completion, label }) => [completion, label])).toEqual([
      ["a", true],
      ["c", false],
    ]);
    await convert(...shared, "--to", "preference", "--min-margin", "3");
    expect(lines("out.jsonl.gz")).toMatchObject([{ chosen: "a", rejected: "c", margin: 4 }]);
    expect(readdirSync(folder).filter((name) => name.includes("tmp"))).toEqual([]);
  });

  it("writes nothing where nothing remains or a row is malformed", async () => {
    write("same.jsonl", [{ prompt: "p", completion: "a", edited: "a" }]);
    const shared = ["--to", "preference", "--output", file("none.jsonl")];
    await expect(convert("--dataset", file("same.jsonl"), ...shared)).rejects.toThrow(
      "at least one row must remain of 1, got none. Dropped: edit that changes nothing (1)",
    );
    write("bad.jsonl", [
      { prompt: "p", chosen: "a", rejected: "b" },
      { prompt: "p", chosen: "a" },
    ]);
    await expect(convert("--dataset", file("bad.jsonl"), ...shared)).rejects.toThrow(
      expect.objectContaining({ line: 2, field: "rejected" }),
    );
    await expect(convert("--dataset", file("missing.jsonl.gz"), ...shared)).rejects.toThrow("readable file");
    writeFileSync(file("no.jsonl.gz"), "text");
    await expect(convert("--dataset", file("no.jsonl.gz"), ...shared)).rejects.toThrow(DataError);
    expect(existsSync(file("none.jsonl"))).toBe(false);
  });

  it("lists all that is wrong with its options", () => {
    const wrong = ["--dataset", "d", "--to", "better", "--from", "worse", "--scale", "1"];
    expect(() => options(convertSchema, wrong)).toThrow(/4 problems(.|\n)*--output(.|\n)*--from(.|\n)*--to(.|\n)*--scale/);
  });
});

describe("sample", () => {
  const sample = (...argv: string[]) =>
    runSample(options(sampleSchema, ["--model", file("model"), "--device", "reference", "--max-new-tokens", "6", ...argv]));

  beforeAll(() => write("prompts.jsonl", [{ prompt: "ab", id: 7 }, { prompt: "ba" }]));

  it("gives a list of different completions a prompt, ready for ranks", async () => {
    const argv = ["--dataset", file("prompts.jsonl"), "--output", file("samples.jsonl"), "--temperatures", "0,0.9,1.3"];
    expect(await sample(...argv)).toBe(0);
    const rows = lines("samples.jsonl");
    expect(rows.map(({ prompt, id }) => [prompt, id])).toEqual([
      ["ab", 7],
      ["ba", undefined],
    ]);
    for (const { completions, temperatures } of rows as { completions: string[]; temperatures: number[] }[]) {
      expect(temperatures).toEqual([0, 0.9, 0.9, 1.3, 1.3]);
      expect(new Set(completions).size).toBe(5);
    }
    const ranked = rows.map((row) => ({ ...row, ranks: [1, 2, 3, 4, 5] }));
    await writeDataset(file("judged.jsonl"), ranked);
    await convert("--dataset", file("judged.jsonl"), "--to", "preference", "--output", file("pairs.jsonl"));
    expect(lines("pairs.jsonl")).toHaveLength(20);
    await sample(...argv.map((value) => value.replace("samples", "again")));
    expect(readFileSync(file("again.jsonl"), "utf8")).toBe(readFileSync(file("samples.jsonl"), "utf8"));
  });

  it("gives pairs or single completions", async () => {
    const argv = ["--dataset", file("prompts.jsonl"), "--temperatures", "1", "--num-generations", "3"];
    await sample(...argv, "--format", "pairs", "--output", file("pairs.jsonl"));
    expect(
      lines("pairs.jsonl").map(({ group, temperatures, completions }) => [group, temperatures, (completions as string[]).length]),
    ).toEqual([1, 1, 1, 2, 2, 2].map((group) => [group, [1, 1], 2]));
    await sample(...argv, "--format", "single", "--output", file("single.jsonl"));
    expect(lines("single.jsonl")).toHaveLength(6);
    expect(Object.keys(lines("single.jsonl")[0]!)).toEqual(["id", "prompt", "completion", "temperature"]);
  });

  it("drops a completion that comes again, and a prompt with nothing to compare", async () => {
    const argv = ["--dataset", file("prompts.jsonl"), "--temperatures", "0,0", "--output", file("greedy.jsonl")];
    await expect(sample(...argv)).rejects.toThrow(
      "the same completion again (2); nothing to compare: fewer than two different completions (2)",
    );
    await sample(...argv, "--format", "single");
    expect(lines("greedy.jsonl")).toHaveLength(2);
    expect(printed.at(-1)).toBe("2 dropped: the same completion again (2)");
  });

  it("answers conversations with messages", async () => {
    write("chat.jsonl", [{ prompt: [{ role: "user", content: "a" }] }]);
    await sample("--dataset", file("chat.jsonl"), "--output", file("talk.jsonl"));
    const [first] = lines("talk.jsonl")[0]!.completions as DatasetRow[][];
    expect(first).toEqual([{ role: "assistant", content: expect.any(String) }]);
  });

  it("refuses prompts and lengths that do not fit, and an output that cannot be, before it samples", async () => {
    write("long.jsonl", [{ prompt: "ab" }, { prompt: "a".repeat(27) }]);
    await expect(sample("--dataset", file("long.jsonl"), "--output", file("x.jsonl"))).rejects.toThrow(
      expect.objectContaining({ line: 2 }),
    );
    const argv = ["--dataset", file("prompts.jsonl"), "--output"];
    await expect(sample(...argv, file("x.jsonl"), "--max-new-tokens", "32")).rejects.toThrow("below the model's context of 32");
    mkdirSync(file("taken.jsonl"));
    await expect(sample(...argv, file("taken.jsonl"))).rejects.toThrow("must be writable, got a directory");
    await expect(sample(...argv, join(file("prompts.jsonl"), "x.jsonl"))).rejects.toThrow(DataError);
    expect(existsSync(file("x.jsonl"))).toBe(false);
  });
});

it("datasets survive a file, compressed or not", async () => {
  const rows = [{ text: "a\n\u2028b" }, { prompt: [{ role: "user", content: "é😀" }] }];
  for (const name of ["a.jsonl", "a.jsonl.gz"]) {
    await writeDataset(file(name), rows);
    expect(await readDataset(file(name))).toEqual(rows);
  }
  writeFileSync(file("b.txt.gz"), gzipSync("words"));
  expect(await readDataset(file("b.txt.gz"))).toEqual([{ text: "words" }]);
});
