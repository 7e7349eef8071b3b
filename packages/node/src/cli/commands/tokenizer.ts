/** `trimtab tokenizer train | encode | decode`. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { ConfigError, type DatasetRow, readExample, Tokenizer, type Turns } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { loadNamedTokenizer } from "../../run/named-model";
import type { tokenizerTrainSchema, tokenizerUseSchema } from "../schemas/tokenizer";

/** Trains a tokenizer on a dataset's texts and writes it as Hugging Face files. */
export async function trainTokenizer(options: z.output<typeof tokenizerTrainSchema>): Promise<number> {
  const rows = await readDataset(options.datasetName);
  const tokenizer = Tokenizer.train(textsOf(rows, options.datasetTextField), { vocabSize: options.vocabSize });
  await mkdir(options.outputDir, { recursive: true });
  await writeFile(join(options.outputDir, "tokenizer.json"), `${JSON.stringify(tokenizer.toJSON(), null, 2)}\n`);
  await writeFile(join(options.outputDir, "tokenizer_config.json"), `${JSON.stringify(tokenizer.toConfigJSON(), null, 2)}\n`);
  console.log(`${tokenizer.vocabSize} tokens from ${rows.length} rows in ${options.outputDir}`);
  return 0;
}

export async function encodeText(options: z.output<typeof tokenizerUseSchema>, text: readonly string[]): Promise<number> {
  const tokenizer = await loadNamedTokenizer(options.tokenizerNameOrPath);
  console.log(tokenizer.encode(text.length > 0 ? text.join(" ") : await readAll(process.stdin)).join(" "));
  return 0;
}

export async function decodeTokens(options: z.output<typeof tokenizerUseSchema>, text: readonly string[]): Promise<number> {
  const tokenizer = await loadNamedTokenizer(options.tokenizerNameOrPath);
  const words = (text.length > 0 ? text.join(" ") : await readAll(process.stdin)).split(/[\s,]+/).filter(Boolean);
  const ids = words.map((word) => {
    const id = Number(word);
    if (!Number.isInteger(id) || id < 0 || id >= tokenizer.vocabSize) {
      throw new ConfigError(
        `trimtab tokenizer decode: token ids must be whole numbers below ${tokenizer.vocabSize}, got ${word}. Correct the list.`,
      );
    }
    return id;
  });
  console.log(tokenizer.decode(ids));
  return 0;
}

/** Every text of a dataset, whatever its format. */
export function textsOf(rows: readonly DatasetRow[], textField: string): string[] {
  const contents = (turns: Turns): string[] => (typeof turns === "string" ? [turns] : turns.map((turn) => turn.content ?? ""));
  return rows.flatMap((row, i) => {
    const example = readExample(row, i + 1, textField);
    if (example.kind === "text") return [example.text];
    if (example.kind === "messages") return contents(example.messages);
    return [...contents(example.prompt), ...contents(example.completion)];
  });
}
