/** How probable a local model finds each of a few answers to a prompt: the softmax of their summed log-probabilities. */
import { hostMath } from "@trimtab/kernels";
import { Tape } from "../autograd/tape";
import type { Batch } from "../data/batch";
import { chatRenderer } from "../data/chat-template";
import type { Message } from "../data/formats";
import { microBatches } from "../data/micro-batches";
import { ConfigError, DataError } from "../errors";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import type { Tokenizer } from "../tokenizer/tokenizer";
import type { JudgeCallOptions } from "./judge";

/** A model that judges; it is not changed. */
export interface JudgingModel {
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
}

export interface LocalJudgeOptions {
  readonly model: JudgingModel;
  /** Most tokens computed at once. Default 4096. */
  readonly maxTokens?: number | undefined;
}

/** Probabilities of the candidates, each (K), and the tokens that were computed. */
export interface CandidateProbabilities {
  readonly probabilities: readonly (readonly number[])[];
  readonly tokens: number;
}

/** Rows of tokens, and which log-probabilities of them to read. */
interface Question {
  readonly rows: readonly Uint32Array[];
  /** For each candidate: its row, and where in it the row predicts the candidate's first token. */
  readonly places: readonly { readonly row: number; readonly at: number }[];
}

/**
 * p_k = exp(l_k) / Σ exp(l_j), l_k = Σ log p(token | prompt, candidate's tokens before it). Candidates are encoded by themselves and joined
 * to the prompt. Those that begin with the same tokens share a row, so that candidates of one token cost one row together.
 */
export async function candidateProbabilities(
  options: LocalJudgeOptions,
  prompts: readonly (readonly Message[])[],
  candidates: readonly string[],
  call: JudgeCallOptions = {},
): Promise<CandidateProbabilities> {
  const { model, maxTokens = 4096 } = options;
  const { decoder, tokenizer } = model;
  const encoded = candidates.map((candidate) => tokenizer.encode(candidate, { addSpecialTokens: false }));
  requireDistinct(candidates, encoded);
  const encode = promptEncoder(tokenizer);
  const questions = prompts.map((messages, i) => ask(encode(messages), encoded, decoder.config.maxPositions, i));
  const lengths = questions.map(({ rows }) => rows.reduce((sum, row) => sum + row.length, 0));
  const probabilities: number[][] = [];
  for (const indices of microBatches(lengths, questions.length, maxTokens)) {
    call.signal?.throwIfAborted();
    const group = indices.map((i) => questions[i] as Question);
    const tape = new Tape(decoder.device, { grad: false });
    try {
      const { logp } = batchLogprobs(tape, decoder, batchOf(group, encoded));
      const values = (await decoder.device.read(logp)) as Float32Array;
      let at = 0;
      for (const _ of group) {
        const sums = encoded.map((tokens) => {
          let sum = 0;
          for (const _ of tokens) sum += values[at++] as number;
          return sum;
        });
        probabilities.push(softmax(sums));
      }
    } finally {
      tape.dispose();
    }
  }
  return { probabilities, tokens: lengths.reduce((sum, length) => sum + length, 0) };
}

/** What candidates begin with where a prompt has no template: the answer follows a colon. */
export function candidatePrefix(tokenizer: Tokenizer): string {
  return tokenizer.chatTemplate === undefined ? " " : "";
}

/** By the chat template, up to the assistant's turn; without one, the messages' text and "Answer:". */
function promptEncoder(tokenizer: Tokenizer): (messages: readonly Message[]) => Uint32Array {
  if (tokenizer.chatTemplate === undefined) {
    return (messages) => tokenizer.encode(`${messages.map(({ content }) => content).join("\n\n")}\n\nAnswer:`);
  }
  const render = chatRenderer(tokenizer);
  return (messages) => tokenizer.encode(render(messages, { addGenerationPrompt: true, line: 1 }), { addSpecialTokens: false });
}

function ask(prompt: Uint32Array, candidates: readonly Uint32Array[], maxPositions: number, index: number): Question {
  const longest = prompt.length + Math.max(...candidates.map(({ length }) => length));
  if (prompt.length === 0 || longest > maxPositions) {
    throw new DataError(
      `judge: a question must have from 1 to ${maxPositions} tokens with its answer, got ${longest} at index ${index}. Shorten completions or the template.`,
    );
  }
  const rows: Uint32Array[] = [];
  const known = new Map<string, number>();
  const places = candidates.map((tokens) => {
    const context = tokens.subarray(0, tokens.length - 1);
    const key = context.join();
    if (!known.has(key)) known.set(key, rows.push(Uint32Array.from([...prompt, ...context])) - 1);
    return { row: known.get(key) as number, at: prompt.length - 1 };
  });
  return { rows, places };
}

function batchOf(questions: readonly Question[], candidates: readonly Uint32Array[]): Batch {
  const rows = questions.flatMap((question) => question.rows);
  const offsets = new Uint32Array(rows.length + 1);
  rows.forEach((row, r) => {
    offsets[r + 1] = (offsets[r] as number) + row.length;
  });
  const tokens = new Uint32Array(offsets.at(-1) as number);
  rows.forEach((row, r) => void tokens.set(row, offsets[r] as number));
  const [predictors, targets, targetOffsets]: [number[], number[], number[]] = [[], [], [0]];
  let first = 0;
  for (const { rows, places } of questions) {
    places.forEach(({ row, at }, k) => {
      (candidates[k] as Uint32Array).forEach((token, t) => {
        predictors.push((offsets[first + row] as number) + at + t);
        targets.push(token);
      });
      targetOffsets.push(targets.length);
    });
    first += rows.length;
  }
  return {
    tokens,
    offsets,
    predictors: Uint32Array.from(predictors),
    targets: Uint32Array.from(targets),
    targetOffsets: Uint32Array.from(targetOffsets),
  };
}

function softmax(logs: readonly number[]): number[] {
  const most = Math.max(...logs);
  const weights = logs.map((log) => hostMath.exp(log - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** "1" against "10" would win by what "10" goes on with. */
function requireDistinct(candidates: readonly string[], encoded: readonly Uint32Array[]): void {
  const clash = encoded.findIndex((a, i) => a.length === 0 || encoded.some((b, j) => i !== j && a.every((token, t) => token === b[t])));
  if (clash < 0 && candidates.length > 1) return;
  throw new ConfigError(
    `judge: there must be at least two candidate answers, none empty or the beginning of another, got ${JSON.stringify(candidates)}. Choose other words, or end each with a line break.`,
  );
}
