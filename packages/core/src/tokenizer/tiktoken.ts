/** tokenizer.json of OpenAI's .tiktoken files, which list byte strings by rank. */
import { decodeBase64 } from "./base64";
import { tokenOfBytes } from "./byte-alphabet";
import { TokenizerError } from "./tokenizer-error";
import type { TokenizerJson } from "./tokenizer-json";
import { specialToken } from "./training";

/** Options of `Tokenizer.fromTiktoken`. */
export interface TiktokenOptions {
  /** How text is cut into words: `splitExpressions.cl100k` and the like, or an expression in Oniguruma's syntax. */
  readonly expression: string;
  /** Ids by token, such as `{ "<|endoftext|>": 100257 }`. */
  readonly specialTokens?: Readonly<Record<string, number>>;
}

/** Lines of base64, a space and the rank, which is the id. */
function readRanks(text: string): Map<string, number> {
  const ranks = new Map<string, number>();
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const [encoded = "", rank = ""] = line.trim().split(" ");
    const bytes = decodeBase64(encoded);
    if (bytes === undefined || bytes.length === 0 || !/^\d{1,7}$/.test(rank)) {
      throw new TokenizerError(
        `Tokenizer.fromTiktoken: line ${i + 1} must be base64, a space and a rank, got "${line.slice(0, 40)}". Correct the file.`,
      );
    }
    ranks.set(tokenOfBytes(bytes), Number(rank));
  }
  return ranks;
}

/** The two tokens that a token is merged from: what is left of its bytes after every merge of lower rank. */
function sidesOf(token: string, rank: number, ranks: ReadonlyMap<string, number>): [string, string] | undefined {
  const parts = Array.from(token);
  while (parts.length > 2) {
    let best = rank;
    let where = -1;
    for (let i = 0; i + 1 < parts.length; i++) {
      const merged = ranks.get(parts[i]! + parts[i + 1]!);
      if (merged !== undefined && merged < best) [best, where] = [merged, i];
    }
    if (where < 0) return undefined;
    parts.splice(where, 2, parts[where]! + parts[where + 1]!);
  }
  return parts.length === 2 ? [parts[0]!, parts[1]!] : undefined;
}

/** A byte-level tokenizer: merges in order of rank, and a word that is a token is that token, as tiktoken does it. */
export function tiktokenJson(text: string, { expression, specialTokens = {} }: TiktokenOptions): TokenizerJson {
  const ranks = readRanks(text);
  const inOrder = [...ranks].sort((a, b) => a[1] - b[1]);
  const merges = inOrder.map(([token, rank]) => sidesOf(token, rank, ranks)).filter((sides) => sides !== undefined);
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  const split = { type: "Split", pattern: { Regex: expression }, behavior: "Isolated", invert: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: Object.entries(specialTokens).map(([content, id]) => specialToken(content, id)),
    normalizer: null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [split, byteLevel] },
    post_processor: null,
    decoder: byteLevel,
    model: { type: "BPE", ignore_merges: true, vocab: Object.fromEntries(inOrder), merges },
  };
}
