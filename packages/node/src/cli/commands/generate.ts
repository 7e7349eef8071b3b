/** `trimtab generate`: completions of prompts, streamed where there is only one. */
import { readFileSync } from "node:fs";
import { ConfigError, type Constraint, generateStream, guidedModel, loadTokenValues, readPrompt } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { nodeDirectory } from "../../files";
import { loadModelOf } from "../../run/named-model";
import type { generateSchema } from "../schemas/generate";

export async function runGenerate(options: z.output<typeof generateSchema>): Promise<number> {
  const prompts = await promptsOf(options);
  const constraint = constraintOf(options);
  return withDevice(options, async (device) => {
    const policy = await loadModelOf(options, device);
    const values = options.values === undefined ? undefined : await loadTokenValues(device, nodeDirectory(options.values));
    const model = values ? guidedModel(policy, values, options.beta) : policy;
    const { numGenerations: n, temperature, topK, topP, minP, repetitionPenalty, stop, seed, maxCompletionLength: maxNewTokens } = options;
    const isStreamed = !options.json && prompts.length * n === 1;
    if (isStreamed) process.stdout.write(prompts[0] as string);
    const sampling = { temperature, topK, topP, minP, repetitionPenalty };
    for await (const { text, completion } of generateStream({ model, prompts, n, maxNewTokens, ...sampling, stop, seed, constraint })) {
      if (isStreamed) process.stdout.write(completion ? `${text}\n` : text);
      else if (completion) {
        const prompt = prompts[completion.promptIndex] as string;
        const { sampleIndex, finishReason, text: whole } = completion;
        console.log(
          options.json ? JSON.stringify({ prompt, sample: sampleIndex, completion: whole, finishReason }) : `${prompt}${whole}\n`,
        );
      }
    }
    return 0;
  });
}

/** The prompts of `--prompt` or of the dataset; exactly one of the two must be given. */
async function promptsOf({ prompt, datasetName }: z.output<typeof generateSchema>): Promise<string[]> {
  if ((prompt === undefined) === (datasetName === undefined)) {
    throw new ConfigError("trimtab generate: exactly one of --prompt and --dataset-name must be given. Give one.");
  }
  if (datasetName === undefined) return prompt as string[];
  return (await readDataset(datasetName)).map((row, i) => {
    const turns = readPrompt(row, i + 1).prompt;
    if (typeof turns !== "string")
      throw new ConfigError(`${datasetName}:${i + 1}: \`prompt\` must be text here, got messages. Render them first.`);
    return turns;
  });
}

function constraintOf({ jsonSchema: file, regex }: z.output<typeof generateSchema>): Constraint | undefined {
  if (file === undefined) return regex === undefined ? undefined : { regex };
  if (regex !== undefined) throw new ConfigError("trimtab generate: one of --json-schema and --regex must be given, got both. Give one.");
  try {
    return { jsonSchema: JSON.parse(readFileSync(file, "utf8")) };
  } catch (cause) {
    throw new ConfigError(`${file}: --json-schema must be a readable JSON file, got ${(cause as Error).message}.`, { cause });
  }
}
