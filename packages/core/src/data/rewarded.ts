/** Rows of completions with a reward: what offline reinforcement learning learns from. */
import { DataError } from "../errors";
import type { Tokenizer } from "../tokenizer/tokenizer";
import type { Sequence } from "./batch";
import { readRow } from "./columns";
import type { Turns } from "./formats";
import type { DatasetRow } from "./jsonl";
import { encodeRows } from "./row-encoder";
import { hasTarget, joinCompletion } from "./truncation";

/** A completion and what it earned. */
export interface RewardedExample {
  readonly prompt: Turns;
  readonly completion: Turns;
  readonly reward: number;
}

/** Reads `prompt`, `completion` and `reward`, a finite number. `line` is 1-based. */
export function readRewarded(row: DatasetRow, line: number): RewardedExample {
  return readRow(row, line, (columns) => {
    const example = { prompt: columns.turns("prompt"), completion: columns.turns("completion"), reward: columns.number("reward") };
    columns.alike("prompt");
    return example;
  });
}

/** The tokens of a completion after its prompt, which alone count, and what it earned. */
export interface TokenizedRewarded {
  readonly sequence: Sequence;
  readonly reward: number;
}

/**
 * Encodes completions with their rewards. Throws DataError with the line for a row longer than `maxLength` tokens: the reward is that of the
 * whole completion, and would be another's if its end were cut off.
 */
export function tokenizeRewarded(
  rows: readonly DatasetRow[],
  { tokenizer, maxLength }: { readonly tokenizer: Tokenizer; readonly maxLength: number },
): TokenizedRewarded[] {
  return encodeRows(rows, tokenizer, (row, line, encoder) => {
    const { prompt, completion, reward } = readRewarded(row, line);
    const encoded = encoder.completions(prompt, [completion], { line, tools: row.tools });
    const sequence = joinCompletion(encoded.prompt, encoded.completions[0] as Uint32Array);
    const { length } = sequence.tokens;
    if (!hasTarget(sequence) || length > maxLength) {
      throw new DataError(
        `dataset line ${line}: a completion must have a token and fit ${maxLength} tokens with its prompt, got ${length} tokens. Shorten or remove it, or raise maxLength.`,
        { line, field: "completion" },
      );
    }
    return { sequence, reward };
  });
}
