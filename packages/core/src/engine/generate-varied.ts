/** Completions of prompts at several temperatures, told of as they grow. */
import { tokenizePrompts } from "../data/tokenize";
import { ConfigError } from "../errors";
import { generateStream } from "../generate/generate";
import type { Completion } from "../generate/options";
import type { LanguageModel } from "../models/language-model";
import type { SignalLike } from "../rl/abort";
import type { EngineCompletion } from "./engine";
import type { WireGenerate } from "./protocol";

/** All completions of the first prompt, by temperature, then the second's. `tell` is told of new text, by the completion's place among them. */
export async function generateVaried(
  model: LanguageModel,
  { prompts, n = 1, temperatures = [1], maxNewTokens, topK, topP, stop, seed, constraint }: Omit<WireGenerate, "job" | "onText">,
  signal: SignalLike,
  tell: (index: number, text: string) => void,
): Promise<EngineCompletion[]> {
  if (temperatures.length === 0) throw new ConfigError("generate: `temperatures` must be at least one, got none. Leave them out for 1.");
  const rows = prompts.map((prompt) => ({ prompt }));
  const encoded = tokenizePrompts(rows, model.tokenizer, model.decoder.config.maxPositions - 1);
  const completions: EngineCompletion[] = [];
  for (const [t, temperature] of temperatures.entries()) {
    const indexOf = ({ promptIndex, sampleIndex }: Pick<Completion, "promptIndex" | "sampleIndex">) =>
      (promptIndex * temperatures.length + t) * n + sampleIndex;
    for await (const delta of generateStream({
      model,
      prompts: encoded.map(({ tokens }) => tokens),
      // No two completions of the call share their random numbers.
      streams: Uint32Array.from({ length: encoded.length * n }, (_, i) => t * encoded.length * n + i),
      ...{ n, temperature, maxNewTokens, topK, topP, stop, seed, constraint, signal },
    })) {
      if (delta.text !== "") tell(indexOf(delta), delta.text);
      if (!delta.completion) continue;
      const { promptIndex, text, finishReason } = delta.completion;
      completions[indexOf(delta)] = { promptIndex, text, temperature, finishReason };
    }
  }
  return completions;
}
