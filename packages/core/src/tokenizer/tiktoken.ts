/** tokenizer.json of OpenAI's .tiktoken files, which list byte strings by rank. */
import { MAX_TOKENS } from "@trimtab/kernels";
import { writeBase64 } from "./base64";
import { ByteStringsBuilder } from "./byte-strings";
import type { ModelTables } from "./model-tables";
import { NameTable } from "./name-table";
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

/** Lines of base64, a space and the rank, which is the id. Throws TokenizerError naming the line. */
function readRanks(text: string): NameTable {
  let lines = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
  const builder = new ByteStringsBuilder(lines, text.length);
  const ranks = new Uint32Array(lines);
  let count = 0;
  for (let line = 1, from = 0; line <= lines; line++) {
    const newline = text.indexOf("\n", from);
    let [start, end] = [from, newline < 0 ? text.length : newline];
    from = end + 1;
    while (start < end && isBlank(text, start)) start += 1;
    while (start < end && isBlank(text, end - 1)) end -= 1;
    if (start === end) continue;
    const space = text.indexOf(" ", start);
    const bytesEnd = space < 0 || space > end ? -1 : writeBase64(text, start, space, builder.bytes, builder.end);
    const rank = readRank(text, space + 1, end);
    if (bytesEnd <= builder.end || rank < 0) {
      throw new TokenizerError(
        `Tokenizer.fromTiktoken: line ${line} must be base64, a space and a rank, got "${text.slice(start, Math.min(end, start + 40))}". Correct the file.`,
      );
    }
    builder.close(bytesEnd);
    ranks[count++] = rank;
  }
  const { bytes, offsets } = builder.finish();
  const table = new NameTable({ bytes, offsets: offsets.subarray(0, count + 1) }, ranks.subarray(0, count), { areBytes: true });
  if (table.isUnique) return table;
  throw new TokenizerError("Tokenizer.fromTiktoken: every token and every rank must occur once, got one twice. Correct the file.");
}

const isBlank = (text: string, at: number) => text.charCodeAt(at) <= 0x20;

/** A number of 1 to 7 digits that can be an id, or -1. */
function readRank(text: string, start: number, end: number): number {
  let rank = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    rank = rank * 10 + digit;
  }
  return end > start && end - start <= 7 && rank < MAX_TOKENS ? rank : -1;
}

const NONE = 0x7fffffff;

/** Finds what tokens are merged from: what is left of their bytes after every merge of lower rank, the lowest first. */
class Splitter {
  readonly #ranks: NameTable;
  /** Where each part begins, and where the last one ends. */
  readonly #starts: Uint32Array;
  /** Rank of each part with the next one. */
  readonly #pairs: Int32Array;

  constructor(ranks: NameTable) {
    this.#ranks = ranks;
    let longest = 0;
    for (let rank = 0; rank < ranks.size; rank++) if (ranks.has(rank)) longest = Math.max(longest, ranks.end(rank) - ranks.start(rank));
    this.#starts = new Uint32Array(longest + 1);
    this.#pairs = new Int32Array(longest);
  }

  /** Where the second of the two tokens begins that the token of `rank` is merged from; -1 where it is not. */
  middleOf(rank: number): number {
    const [starts, pairs] = [this.#starts, this.#pairs];
    const start = this.#ranks.start(rank);
    let parts = this.#ranks.end(rank) - start;
    for (let i = 0; i <= parts; i++) starts[i] = start + i;
    for (let i = 0; i < parts - 1; i++) pairs[i] = this.#pair(i);
    while (parts > 2) {
      let best = 0;
      for (let i = 1; i < parts - 1; i++) if (pairs[i]! < pairs[best]!) best = i;
      if (pairs[best]! >= rank) return -1;
      starts.copyWithin(best + 1, best + 2, parts + 1);
      pairs.copyWithin(best, best + 1, parts - 1);
      parts -= 1;
      if (best < parts - 1) pairs[best] = this.#pair(best);
      if (best > 0) pairs[best - 1] = this.#pair(best - 1);
    }
    return parts === 2 ? starts[1]! : -1;
  }

  #pair(i: number): number {
    const rank = this.#ranks.find(this.#ranks.bytes, this.#starts[i]!, this.#starts[i + 2]!);
    return rank < 0 ? NONE : rank;
  }
}

/** The tokens as they are, and merges in order of rank. */
function tablesOf(names: NameTable): ModelTables {
  const splitter = new Splitter(names);
  const middles = new Int32Array(names.size).fill(-1);
  let merges = 0;
  for (let rank = 0; rank < names.size; rank++) {
    if (!names.has(rank)) continue;
    middles[rank] = splitter.middleOf(rank);
    if (middles[rank]! >= 0) merges += 1;
  }
  const sides = new ByteStringsBuilder(merges * 2, names.bytes.length);
  for (let rank = 0; rank < names.size; rank++) {
    if (middles[rank]! < 0) continue;
    sides.add(names.bytes, names.start(rank), middles[rank]!);
    sides.add(names.bytes, middles[rank]!, names.end(rank));
  }
  return { names, merges: { sides: sides.finish(), arePairs: true }, scores: undefined };
}

/** A byte-level tokenizer: merges in order of rank, and a word that is a token is that token, as tiktoken does it. */
export function readTiktoken(
  text: string,
  { expression, specialTokens = {} }: TiktokenOptions,
): { json: TokenizerJson; tables: ModelTables } {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  const split = { type: "Split", pattern: { Regex: expression }, behavior: "Isolated", invert: false };
  const json: TokenizerJson = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: Object.entries(specialTokens).map(([content, id]) => specialToken(content, id)),
    normalizer: null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [split, byteLevel] },
    post_processor: null,
    decoder: byteLevel,
    model: { type: "BPE", ignore_merges: true, vocab: {}, merges: [] },
  };
  return { json, tables: tablesOf(readRanks(text)) };
}
