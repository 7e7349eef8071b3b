/** Sampling as far as memory is concerned: prompts are computed, a block of positions is decoded, and every completion is as long as it may be. */
import { uniform } from "@trimtab/kernels";
import { generateStream } from "../generate/generate";
import type { RolloutCompletion, RolloutRequest } from "../rl/rollout-function";

/**
 * A rollout function: the cache is made for the longest completions from the beginning, so that what comes after the first block of positions takes no
 * more memory. The completions are drawn at random.
 */
export async function longestRollout(request: RolloutRequest): Promise<RolloutCompletion[]> {
  const { model, prompts, n, maxNewTokens } = request;
  const { maxPositions, vocabSize } = model.decoder.config;
  await computeOneBlock(request);
  return prompts.flatMap((promptTokens, promptIndex) =>
    Array.from({ length: n }, (_, sampleIndex): RolloutCompletion => {
      const length = Math.min(maxNewTokens, maxPositions - promptTokens.length);
      const stream = promptIndex * n + sampleIndex;
      const words = Math.min(vocabSize, model.tokenizer.vocabSize);
      const tokens = Uint32Array.from({ length }, (_token, t) => Math.floor(uniform(0, stream, t) * words));
      const text = model.tokenizer.decode(tokens);
      return { promptIndex, sampleIndex, promptTokens, tokens, logps: new Float32Array(length), finishReason: "stop", text };
    }),
  );
}

/** Ends once some completion has got its second batch of tokens: the first comes from its prompt, the second from decoding. */
async function computeOneBlock(request: RolloutRequest): Promise<void> {
  const seen = new Set<string>();
  for await (const { promptIndex, sampleIndex } of generateStream({ ...request, eosTokenIds: [], signal: undefined })) {
    const row = `${promptIndex}:${sampleIndex}`;
    if (seen.has(row)) return;
    seen.add(row);
  }
}
