/** `model` of tokenizer.json: the rules by which a word becomes ids (Hugging Face tokenizers 0.23). */
import { type ByteStrings, type TokenEncoder, utf8Decoder } from "@trimtab/kernels";
import { byteCharacters, utf8, writeBytesOfToken } from "./byte-alphabet";
import { ByteStringsBuilder } from "./byte-strings";
import { JsonField, type Readers } from "./json-field";
import type { MergeList, ModelTables } from "./model-tables";
import type { NameTable } from "./name-table";
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
export type UseModel = (encoder: TokenEncoder, tables: ModelTables, byteLevel: boolean) => Model;

const idsIn =
  ({ names }: ModelTables): IdOf =>
  (token) =>
    names.idOf(token);

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

/** The two sides of each merge, in the alphabet of the words. */
function sidesFor(model: JsonField, names: NameTable, list: MergeList, byteLevel: boolean): ByteStrings {
  const { sides } = list;
  if (!byteLevel || names.areBytes) return sides;
  const count = sides.offsets.length - 1;
  const builder = new ByteStringsBuilder(count, sides.bytes.length);
  for (let i = 0; i < count; i++) {
    const end = writeBytesOfToken(sides.bytes, sides.offsets[i]!, sides.offsets[i + 1]!, builder.bytes, builder.end);
    if (end < 0) throw mergeAt(model, list, i >> 1).must("written in GPT-2's byte alphabet");
    builder.close(end);
  }
  return builder.finish();
}

/** A merge as the file has it. */
function mergeAt(model: JsonField, { sides: { bytes, offsets }, arePairs }: MergeList, i: number): JsonField {
  const side = (k: number) => utf8Decoder().decode(bytes.subarray(offsets[k], offsets[k + 1]));
  const [left, right] = [side(2 * i), side(2 * i + 1)];
  return new JsonField(arePairs ? [left, right] : `${left} ${right}`, `${model.get("merges").path}[${i}]`);
}

function readBytePairs(model: JsonField): UseModel {
  const dropout = model.get("dropout");
  if (!dropout.isAbsent && dropout.number() !== 0) throw dropout.must("absent: encoding is the same every time");
  const [prefix, suffix] = ["continuing_subword_prefix", "end_of_word_suffix"].map((name) => utf8(model.get(name).string("")));
  const [byteFallback, ignoreMerges, fuseUnknown] = ["byte_fallback", "ignore_merges", "fuse_unk"].map((name) =>
    model.get(name).boolean(false),
  );
  return (encoder, tables, byteLevel) => {
    const idOf = idsIn(tables);
    const list = tables.merges as MergeList;
    const ids = byteIds(idOf, byteLevel);
    // Where every byte has a token, nothing is unknown.
    const isComplete = byteLevel && !ids.includes(-1);
    const unknown = model.get("unk_token").isAbsent || isComplete ? unknownId(model, idOf) : requireUnknown(model, idOf);
    const bad = encoder.useBytePairs({
      merges: sidesFor(model, tables.names, list, byteLevel),
      byteLevel,
      byteIds: ids,
      byteFallback: byteFallback === true && !byteLevel,
      ignoreMerges: ignoreMerges === true,
      unknownId: unknown,
      fuseUnknown: fuseUnknown === true,
      prefix: prefix ?? none,
      suffix: suffix ?? none,
    });
    if (bad !== undefined) throw mergeAt(model, list, bad).must("made of tokens of the vocabulary");
    return bytePairModel(encoder, unknown, list.arePairs);
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
  const unknown = model.get("unk_id");
  const id = unknown.integer(0);
  const byteFallback = model.get("byte_fallback").boolean(false);
  return (encoder, tables) => {
    const idOf = idsIn(tables);
    const scores = tables.scores as Float64Array<ArrayBuffer>;
    if (id >= scores.length) throw unknown.must(`below the ${scores.length} tokens of the vocabulary`);
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
  return (encoder, tables) => {
    const unknown = requireUnknown(model, idsIn(tables));
    encoder.useWordPiece({ unknownId: unknown, prefix, maxCharacters });
    return wordModel(encoder, unknown);
  };
}

const readWordLevel =
  (model: JsonField): UseModel =>
  (encoder, tables) => {
    const unknown = requireUnknown(model, idsIn(tables));
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
