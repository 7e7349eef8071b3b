/** `model` of tokenizer.json: the rules by which a word becomes ids (Hugging Face tokenizers 0.23). */
import type { TokenEncoder } from "@trimtab/kernels";
import { byteCharacters, utf8, writeBytesOfToken, writeUtf8 } from "./byte-alphabet";
import { ByteStringsBuilder } from "./byte-strings";
import type { JsonField, Readers } from "./json-field";
import type { ModelJson } from "./tokenizer-json";

/** A model's own tokens, by name. */
export type IdOf = (token: string) => number | undefined;

/** A model in use. */
export interface Model {
  /** The id for what has no token. */
  readonly unknownId: number | undefined;
  /** `vocab` and `merges` of tokenizer.json again; `tokenOf` gives the names of the model's own tokens. */
  write(tokenOf: (id: number) => string | undefined): Pick<ModelJson, "vocab" | "merges">;
}

/** Gives the encoder its rules. `byteLevel`: the words' bytes are the symbols. */
export type UseModel = (encoder: TokenEncoder, idOf: IdOf, byteLevel: boolean) => Model;

const none = new Uint8Array(0);

/** `vocab` as an object of ids, in their order. */
function writeVocab(encoder: TokenEncoder, tokenOf: (id: number) => string | undefined): Record<string, number> {
  // Without a prototype, a token may be called anything.
  const vocab: Record<string, number> = Object.create(null);
  for (let id = 0; id < encoder.size; id++) {
    const token = tokenOf(id);
    if (token !== undefined) vocab[token] = id;
  }
  return vocab;
}

/** The unknown token's id; undefined where there is none. */
function unknownId(model: JsonField, idOf: IdOf): number | undefined {
  const token = model.get("unk_token");
  return token.isAbsent ? undefined : idOf(token.string());
}

function requireUnknown(model: JsonField, idOf: IdOf): number {
  const id = idOf(model.get("unk_token").string());
  if (id === undefined) throw model.get("unk_token").must("a token of the vocabulary");
  return id;
}

/** (256): ids of <0x00> ... <0xFF>, or of the bytes' characters; -1 where there is no such token. */
function byteIds(idOf: IdOf, byteLevel: boolean): Int32Array {
  const name = (byte: number) => (byteLevel ? byteCharacters[byte]! : `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  return Int32Array.from({ length: 256 }, (_, byte) => idOf(name(byte)) ?? -1);
}

/** The two sides of each merge, "left right" or [left, right]. */
function readMerges(model: JsonField, byteLevel: boolean) {
  const merges = model.get("merges");
  const rows = merges.array();
  const builder = new ByteStringsBuilder(rows.length * 2);
  rows.forEach((row, i) => {
    // A token may itself hold a space, never at the place where one joins two tokens of the vocabulary.
    const space = typeof row === "string" ? row.indexOf(" ", 1) : -1;
    const sides = typeof row === "string" ? [row.slice(0, space), row.slice(space + 1)] : row;
    if (!isPair(sides) || (typeof row === "string" && space < 0))
      throw mergeAt(merges, i).must('two tokens, "left right" or ["left", "right"]');
    for (const side of sides) {
      const write = byteLevel ? writeBytesOfToken : writeUtf8;
      if (!builder.add(side.length * 3, (into, at) => write(side, into, at)))
        throw mergeAt(merges, i).must("written in GPT-2's byte alphabet");
    }
  });
  return builder.finish();
}

const mergeAt = (merges: JsonField, i: number) => merges.items()[i]!;
const isPair = (value: unknown): value is [string, string] =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && typeof value[1] === "string";

function readBytePairs(model: JsonField): UseModel {
  const dropout = model.get("dropout");
  if (!dropout.isAbsent && dropout.number() !== 0) throw dropout.must("absent: encoding is the same every time");
  const [prefix, suffix] = ["continuing_subword_prefix", "end_of_word_suffix"].map((name) => utf8(model.get(name).string("")));
  const [byteFallback, ignoreMerges, fuseUnknown] = ["byte_fallback", "ignore_merges", "fuse_unk"].map((name) =>
    model.get(name).boolean(false),
  );
  const arePairs = Array.isArray(model.get("merges").array()[0]);
  return (encoder, idOf, byteLevel) => {
    const ids = byteIds(idOf, byteLevel);
    // Where every byte has a token, nothing is unknown.
    const isComplete = byteLevel && !ids.includes(-1);
    const unknown = model.get("unk_token").isAbsent || isComplete ? unknownId(model, idOf) : requireUnknown(model, idOf);
    const bad = encoder.useBytePairs({
      merges: readMerges(model, byteLevel),
      byteLevel,
      byteIds: ids,
      byteFallback: byteFallback === true && !byteLevel,
      ignoreMerges: ignoreMerges === true,
      unknownId: unknown,
      fuseUnknown: fuseUnknown === true,
      prefix: prefix ?? none,
      suffix: suffix ?? none,
    });
    if (bad !== undefined) throw mergeAt(model.get("merges"), bad).must("made of tokens of the vocabulary");
    return bytePairModel(encoder, unknown, arePairs);
  };
}

/** Outside of what reads tokenizer.json, all of which a closure made there would keep. */
function bytePairModel(encoder: TokenEncoder, unknown: number | undefined, arePairs: boolean): Model {
  return {
    unknownId: unknown,
    write: (tokenOf) => {
      const rows = encoder.mergeRows();
      const merges = Array.from({ length: rows.length / 3 }, (_, i): string | [string, string] => {
        const [left, right] = [tokenOf(rows[3 * i]!)!, tokenOf(rows[3 * i + 1]!)!];
        return arePairs ? [left, right] : `${left} ${right}`;
      });
      return { vocab: writeVocab(encoder, tokenOf), merges };
    },
  };
}

function unigramModel(unknown: number, scores: Float64Array): Model {
  const write: Model["write"] = (tokenOf) => ({ vocab: Array.from(scores, (score, i): [string, number] => [tokenOf(i) ?? "", score]) });
  return { unknownId: unknown, write };
}

/** A model of which the vocabulary is all. */
function wordModel(encoder: TokenEncoder, unknown: number): Model {
  return { unknownId: unknown, write: (tokenOf) => ({ vocab: writeVocab(encoder, tokenOf) }) };
}

function readUnigram(model: JsonField): UseModel {
  const rows = model.get("vocab").items();
  const unknown = model.get("unk_id");
  const id = unknown.integer(0);
  if (id >= rows.length) throw unknown.must(`below the ${rows.length} tokens of the vocabulary`);
  const byteFallback = model.get("byte_fallback").boolean(false);
  const scores = Float64Array.from(rows, (row) => row.items()[1]?.number() ?? Number.NaN);
  return (encoder, idOf) => {
    const all = new Float64Array(encoder.size);
    all.set(scores);
    const lowest = scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY);
    encoder.useUnigram({ scores: all, lowest, unknownId: id, byteFallback, byteIds: byteIds(idOf, false) });
    return unigramModel(id, scores);
  };
}

function readWordPiece(model: JsonField): UseModel {
  const prefix = utf8(model.get("continuing_subword_prefix").string("##"));
  const maxCharacters = model.get("max_input_chars_per_word").integer(0, 100);
  return (encoder, idOf) => {
    const unknown = requireUnknown(model, idOf);
    encoder.useWordPiece({ unknownId: unknown, prefix, maxCharacters });
    return wordModel(encoder, unknown);
  };
}

const readWordLevel =
  (model: JsonField): UseModel =>
  (encoder, idOf) => {
    const unknown = requireUnknown(model, idOf);
    encoder.useWordLevel(unknown);
    return wordModel(encoder, unknown);
  };

/** Every model that can be read. */
export const modelReaders: Readers<UseModel> = {
  BPE: readBytePairs,
  Unigram: readUnigram,
  WordPiece: readWordPiece,
  WordLevel: readWordLevel,
};

/** The model's type; older files leave it out. */
export function modelType(model: JsonField): string {
  const type = model.get("type");
  if (!type.isAbsent) return type.string();
  if (!model.get("merges").isAbsent) return "BPE";
  return Array.isArray(model.get("vocab").value) ? "Unigram" : "WordPiece";
}
