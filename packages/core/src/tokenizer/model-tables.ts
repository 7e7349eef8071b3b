/** The vocabulary, the merges and the scores of a parsed tokenizer.json as flat tables. */
import { type ByteStrings, MAX_TOKENS } from "@trimtab/kernels";
import { writeUtf8 } from "./byte-alphabet";
import { ByteStringsBuilder } from "./byte-strings";
import type { JsonField } from "./json-field";
import { NameTable } from "./name-table";

/** The merges of byte-pair encoding in order of rank. */
export interface MergeList {
  /** Both sides of each, written as the names are, 2 strings a merge. */
  readonly sides: ByteStrings;
  /** The file has [left, right] rather than "left right". */
  readonly arePairs: boolean;
}

/** What of a model is large. */
export interface ModelTables {
  /** The model's own tokens. */
  readonly names: NameTable;
  /** Of BPE. */
  readonly merges: MergeList | undefined;
  /** Of each token, by id, of Unigram. */
  readonly scores: Float64Array | undefined;
}

/** Reads `vocab` and what else a model of this type has. Throws TokenizerError naming the field. */
export function readTables(model: JsonField, type: string): ModelTables {
  return {
    names: readNames(model.get("vocab")),
    merges: type === "BPE" ? readMerges(model.get("merges")) : undefined,
    scores: type === "Unigram" ? readScores(model.get("vocab")) : undefined,
  };
}

function stringsOf(strings: readonly string[]): ByteStrings {
  const builder = new ByteStringsBuilder(strings.length, 1 << 16);
  for (const text of strings) {
    builder.room(text.length * 3);
    builder.close(writeUtf8(text, builder.bytes, builder.end));
  }
  return builder.finish();
}

/** The model's own tokens: an object of ids, or Unigram's list of [token, score]. */
function readNames(vocab: JsonField): NameTable {
  if (Array.isArray(vocab.value)) {
    const names = vocab.items().map((row) => {
      const pair = row.array();
      if (pair.length !== 2) throw row.must("a token and its score");
      return row.items()[0]!.string();
    });
    return new NameTable(stringsOf(names));
  }
  const ids = vocab.object();
  const names = Object.keys(ids);
  const places = Uint32Array.from(names, (name) => {
    const id = ids[name] as number;
    if (Number.isInteger(id) && id >= 0 && id < MAX_TOKENS) return id;
    throw vocab.get(name).must(`an id, an integer from 0 to ${MAX_TOKENS - 1}`);
  });
  const table = new NameTable(stringsOf(names), places);
  if (!table.isUnique) requireUnique(vocab, names, places);
  return table;
}

function requireUnique(vocab: JsonField, names: readonly string[], ids: Uint32Array): void {
  const used = new Map<number, string>();
  names.forEach((name, i) => {
    const other = used.get(ids[i]!);
    if (other !== undefined) throw vocab.get(name).must(`an id of its own, not that of "${other}"`);
    used.set(ids[i]!, name);
  });
}

function readMerges(merges: JsonField): MergeList {
  const rows = merges.array();
  const builder = new ByteStringsBuilder(rows.length * 2, 1 << 16);
  const add = (text: string) => {
    builder.room(text.length * 3);
    builder.close(writeUtf8(text, builder.bytes, builder.end));
  };
  rows.forEach((row, i) => {
    // A token may itself hold a space, never at the place where one joins two tokens of the vocabulary.
    const space = typeof row === "string" ? row.indexOf(" ", 1) : -1;
    const pair = typeof row === "string" ? [row.slice(0, space), row.slice(space + 1)] : row;
    if (!isPair(pair) || (typeof row === "string" && space < 0))
      throw merges.items()[i]!.must('two tokens, "left right" or ["left", "right"]');
    for (const side of pair) add(side);
  });
  return { sides: builder.finish(), arePairs: Array.isArray(rows[0]) };
}

const isPair = (value: unknown): value is [string, string] =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && typeof value[1] === "string";

const readScores = (vocab: JsonField) => Float64Array.from(vocab.items(), (row) => row.items()[1]?.number() ?? Number.NaN);
