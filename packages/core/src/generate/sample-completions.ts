/** Varied completions of a dataset's prompts, sampled at several temperatures, as rows for people or judges to compare. */
import { type Conversion, ConversionBuilder } from "../data/conversion";
import type { PromptRow } from "../data/formats";
import type { DatasetRow } from "../data/jsonl";
import { asTurns, tokenizePrompts } from "../data/tokenize";
import { ConfigError } from "../errors";
import type { Tokenizer } from "../tokenizer/tokenizer";
import { generate } from "./generate";
import type { GenerateOptions, GenerationModel } from "./options";

/**
 * list: a row a prompt, `completions` and `temperatures`, (K) each, ready for `ranks`. pairs: the same for every two completions of a
 * prompt, with the prompt's line as `group`. single: a row a completion, `completion` and `temperature`, ready for `rating`, `label`, `thumb` or
 * `edited`.
 */
export type SampleFormat = "list" | "pairs" | "single";

/** A completion, and the temperature it was sampled at. */
export interface VariedCompletion {
  readonly text: string;
  readonly temperature: number;
}

export interface SampleCompletionsOptions
  extends Omit<GenerateOptions, "model" | "prompts" | "n" | "temperature" | "streams" | "maxNewTokens"> {
  readonly model: GenerationModel & { readonly tokenizer: Tokenizer };
  /** Prompt-only rows; other columns are handed on. */
  readonly rows: readonly DatasetRow[];
  /** 0 is greedy, and gives one completion. Default 0.3, 0.7, 1. */
  readonly temperatures?: readonly number[] | undefined;
  /** Completions per prompt and temperature. Default 2. */
  readonly numGenerations?: number | undefined;
  /** Longest completion in tokens. Default 64. */
  readonly maxCompletionLength?: number | undefined;
  /** Default "list". */
  readonly format?: SampleFormat | undefined;
}

/**
 * Samples and writes rows. Of equal completions of a prompt the first stays; a prompt with a single completion left has nothing to compare
 * and is dropped, unless rows are single. Throws ConfigError for bad options and DataError for malformed or too long prompts.
 */
export async function sampleCompletions(options: SampleCompletionsOptions): Promise<Conversion> {
  const { model, rows, temperatures = [0.3, 0.7, 1], numGenerations = 2, maxCompletionLength = 64, format = "list", ...rest } = options;
  const { maxPositions } = model.decoder.config;
  if (temperatures.length === 0) throw new ConfigError("sampleCompletions: temperatures must be at least one, got none. Give some.");
  if (!(maxCompletionLength < maxPositions)) {
    throw new ConfigError(
      `sampleCompletions: maxCompletionLength must be below the model's context of ${maxPositions}, got ${maxCompletionLength}. Lower it.`,
    );
  }
  const prompts = tokenizePrompts(rows, model.tokenizer, maxPositions - maxCompletionLength);
  const completions = prompts.map((): VariedCompletion[] => []);
  let streams = 0;
  for (const temperature of temperatures) {
    const n = temperature === 0 ? 1 : numGenerations;
    const first = streams;
    streams += prompts.length * n;
    for (const { promptIndex, text } of await generate({
      ...rest,
      model,
      prompts: prompts.map(({ tokens }) => tokens),
      n,
      temperature,
      maxNewTokens: maxCompletionLength,
      // No two completions of the run share their random numbers.
      streams: Uint32Array.from({ length: prompts.length * n }, (_, i) => first + i),
    })) {
      completions[promptIndex]?.push({ text, temperature });
    }
  }
  return sampledRows(prompts, completions, format);
}

/** The rows of the completions of each prompt. (prompts) */
export function sampledRows(
  prompts: readonly PromptRow[],
  completions: readonly (readonly VariedCompletion[])[],
  format: SampleFormat,
): Conversion {
  const builder = new ConversionBuilder();
  prompts.forEach(({ prompt, columns }, i) => {
    const all = completions[i] ?? [];
    const different = all.filter(({ text }, k) => all.findIndex((other) => other.text === text) === k);
    for (const _ of all.slice(different.length)) builder.drop(i + 1, "the same completion again");
    const row = (chosen: readonly VariedCompletion[], group: DatasetRow = {}) => ({
      ...group,
      ...columns,
      prompt,
      completions: chosen.map(({ text }) => asTurns(prompt, text)),
      temperatures: chosen.map(({ temperature }) => temperature),
    });
    if (format === "single") {
      for (const { text, temperature } of different) {
        builder.add(i + 1, { ...columns, prompt, completion: asTurns(prompt, text), temperature });
      }
    } else if (different.length < 2) builder.drop(i + 1, "nothing to compare: fewer than two different completions");
    else if (format === "list") builder.add(i + 1, row(different));
    else {
      different.forEach((one, k) => {
        for (const other of different.slice(k + 1)) builder.add(i + 1, row([one, other], { group: i + 1 }));
      });
    }
  });
  return builder.conversion;
}
