/**
 * tokenizer.json from its bytes: the vocabulary and the merges become tables without a string or an object for any token, so that loading peaks little
 * above what is kept; JSON.parse makes values of the rest.
 */
import { type ByteStrings, MAX_TOKENS, utf8Decoder } from "@trimtab/kernels";
import { JsonBytes, Unusual } from "./json-bytes";
import { JsonField } from "./json-field";
import type { MergeList, ModelTables } from "./model-tables";
import { modelType } from "./models";
import { NameTable } from "./name-table";
import type { TokenizerJson } from "./tokenizer-json";

/** tokenizer.json with an empty vocabulary and no merges, and these as tables. */
export interface TokenizerBytes {
  readonly json: TokenizerJson;
  readonly tables: ModelTables;
}

/** Where a value lies, and how many members or items it has. */
interface Extent {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly isList: boolean;
}

const [QUOTE, COMMA, COLON, SPACE, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT] = [0x22, 0x2c, 0x3a, 0x20, 0x5b, 0x5d, 0x7b];

/** Undefined where the bytes are no plain tokenizer.json: JSON.parse and the readers of its fields say what is wrong, or know what to do. */
export function readTokenizerBytes(bytes: Uint8Array): TokenizerBytes | undefined {
  try {
    const { vocab, merges } = findModel(bytes);
    const json = withoutParts(bytes, [vocab, ...(merges ? [merges] : [])]);
    const type = modelType(new JsonField(json.model, "model"));
    if ((type === "BPE" && !merges) || (type === "Unigram" && !vocab.isList)) return undefined;
    const list = vocab.isList ? readList(bytes, vocab) : undefined;
    const tables = { names: list?.names ?? readVocab(bytes, vocab), scores: list?.scores, merges: merges && readMerges(bytes, merges) };
    if (!list && !tables.names.isUnique) return undefined;
    return { json, tables };
  } catch (error) {
    if (error instanceof Unusual || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function findModel(bytes: Uint8Array): { vocab: Extent; merges: Extent | undefined } {
  const walk = new JsonBytes(bytes);
  const found = new Map<string, Extent | undefined>();
  const once = (key: string, extent: Extent | undefined) => {
    if (found.has(key)) throw new Unusual("a key twice");
    found.set(key, extent);
  };
  walk.object((key) => {
    if (key !== "model") return walk.skipValue();
    once(key, undefined);
    walk.object((field) => {
      if (field === "vocab" || field === "merges") once(field, measure(walk));
      else walk.skipValue();
    });
  });
  const [vocab, merges] = [found.get("vocab"), found.get("merges")];
  if (!vocab || (found.has("merges") && !merges?.isList)) throw new Unusual("no vocabulary");
  return { vocab, merges };
}

function measure(walk: JsonBytes): Extent | undefined {
  const from = walk.at;
  const kind = walk.peek();
  let count = 0;
  if (kind === OPEN_LIST) {
    walk.list(() => {
      walk.skipValue();
      count += 1;
    });
  } else if (kind === OPEN_OBJECT) {
    walk.members(() => {
      walk.skipString();
      walk.expect(COLON);
      walk.skipValue();
      count += 1;
    });
  } else throw new Unusual("neither a list nor an object");
  return { from, to: walk.at, count, isList: kind === OPEN_LIST };
}

/** Everything but the parts, which are empty. */
function withoutParts(bytes: Uint8Array, parts: readonly Extent[]): TokenizerJson {
  const decoder = utf8Decoder();
  let text = "";
  let from = 0;
  for (const part of [...parts].sort((a, b) => a.from - b.from)) {
    text += decoder.decode(bytes.subarray(from, part.from)) + (part.isList ? "[]" : "{}");
    from = part.to;
  }
  return JSON.parse(text + decoder.decode(bytes.subarray(from))) as TokenizerJson;
}

/** Strings one after another; as many bytes as the part they come from are enough, and what is not used is never touched. */
class Strings {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  #count = 0;

  constructor(count: number, part: Extent) {
    this.bytes = new Uint8Array(part.to - part.from);
    this.offsets = new Uint32Array(count + 1);
  }

  read(walk: JsonBytes): void {
    this.close(walk.readString(this.bytes, this.end));
  }

  get end(): number {
    return this.offsets[this.#count]!;
  }

  close(end: number): void {
    this.offsets[++this.#count] = end;
  }

  finish(): ByteStrings {
    return { bytes: this.bytes.subarray(0, this.end), offsets: this.offsets };
  }
}

function readVocab(bytes: Uint8Array, part: Extent): NameTable {
  const names = new Strings(part.count, part);
  const ids = new Uint32Array(part.count);
  const walk = new JsonBytes(bytes, part.from);
  let index = 0;
  walk.members(() => {
    names.read(walk);
    walk.expect(COLON);
    walk.peek();
    const id = walk.readInteger();
    if (id >= MAX_TOKENS) throw new Unusual("an id that is too large");
    ids[index++] = id;
  });
  return new NameTable(names.finish(), ids);
}

/** Unigram's [token, score] in order of ids. */
function readList(bytes: Uint8Array, part: Extent): { names: NameTable; scores: Float64Array } {
  const names = new Strings(part.count, part);
  const scores = new Float64Array(part.count);
  const walk = new JsonBytes(bytes, part.from);
  let index = 0;
  walk.list(() => {
    walk.expect(OPEN_LIST);
    names.read(walk);
    walk.expect(COMMA);
    walk.peek();
    scores[index++] = walk.readNumber();
    walk.expect(CLOSE_LIST);
  });
  return { names: new NameTable(names.finish()), scores };
}

function readMerges(bytes: Uint8Array, part: Extent): MergeList {
  const sides = new Strings(part.count * 2, part);
  const walk = new JsonBytes(bytes, part.from);
  let first: number | undefined;
  walk.list(() => {
    const kind = walk.peek();
    first ??= kind;
    if (kind === QUOTE) return readJoined(walk, sides);
    walk.expect(OPEN_LIST);
    sides.read(walk);
    walk.expect(COMMA);
    sides.read(walk);
    walk.expect(CLOSE_LIST);
  });
  return { sides: sides.finish(), arePairs: first === OPEN_LIST };
}

/** "left right" */
function readJoined(walk: JsonBytes, sides: Strings): void {
  const start = sides.end;
  const end = walk.readString(sides.bytes, start);
  // A token may itself hold a space, never at the place where one joins two tokens of the vocabulary.
  let space = start + 1;
  while (space < end && sides.bytes[space] !== SPACE) space += 1;
  if (space >= end) throw new Unusual("no two tokens");
  sides.bytes.copyWithin(space, space + 1, end);
  sides.close(space);
  sides.close(end - 1);
}
