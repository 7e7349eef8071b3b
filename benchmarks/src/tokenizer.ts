/** Tokenizer throughput beside npm's: training, encoding and decoding of English text, one thread, MB of UTF-8 a second. */
import { Tokenizer } from "@trimtab/core";
import type { Section } from "./measure/section";
import { type Contestant, race } from "./measure/timing";
import { importPeer, peersInstalled } from "./peers";
import { speeches } from "./text";

interface PeerTokenizers {
  readonly gptTokenizer: { encode(text: string): number[]; decode(ids: number[]): string };
  huggingFace(json: unknown, config: unknown): { encode(text: string): { ids: number[] }; decode(ids: number[]): string };
}

export async function benchmarkTokenizer(options: { peers: boolean }): Promise<Section> {
  const text = speeches();
  const megabytes = new TextEncoder().encode(text).length / 1e6;
  const before = performance.now();
  const tokenizer = Tokenizer.train([text], { vocabSize: 4096 });
  const trainMs = performance.now() - before;
  const ids = tokenizer.encode(text);
  const encoders: Contestant[] = [{ name: "trimtab", run: async () => tokenizer.encode(text) }];
  const decoders: Contestant[] = [{ name: "trimtab", run: async () => tokenizer.decode(ids) }];
  if (options.peers && peersInstalled()) {
    const { gptTokenizer, huggingFace } = await importPeer<PeerTokenizers>("tokenizers.mjs");
    // the same vocabulary as ours; gpt-tokenizer has only its own (r50k)
    const theirs = huggingFace(tokenizer.toJSON(), tokenizer.toConfigJSON());
    const gptIds = gptTokenizer.encode(text);
    const theirIds = theirs.encode(text).ids;
    encoders.push({ name: "gpt-tokenizer (r50k)", run: async () => gptTokenizer.encode(text) });
    encoders.push({ name: "@huggingface/tokenizers", run: async () => theirs.encode(text) });
    decoders.push({ name: "gpt-tokenizer (r50k)", run: async () => gptTokenizer.decode(gptIds) });
    decoders.push({ name: "@huggingface/tokenizers", run: async () => theirs.decode(theirIds) });
  }
  const encode = await race(encoders, { minRounds: 3, maxRounds: 15, budgetMs: 6000 });
  const decode = await race(decoders, { minRounds: 3, maxRounds: 15, budgetMs: 4000 });
  const rate = (ms: number) => (megabytes / ms) * 1000;
  const ours = encode[0]?.bestMs as number;
  return {
    title: `Tokenizers on ${megabytes.toFixed(1)} MB of English, best MB/s`,
    columns: ["tokenizer", "encode", "decode", "encode: ours is faster by"],
    rows: encode.map((timing, i) => [timing.name, rate(timing.bestMs), rate(decode[i]?.bestMs as number), timing.bestMs / ours]),
    notes: [
      `training a vocabulary of 4,096: ${(trainMs / 1000).toFixed(2)} s`,
      `${(ids.length / megabytes / 1e6).toFixed(3)} tokens per byte`,
    ],
  };
}
