/** Turns tokenizer.json's vocabulary and merges into the tables the WebAssembly encoder holds. */
import type { BytePairModel } from "@trimtab/kernels";
import { byteCharacters, bytesOfToken, utf8 } from "./byte-alphabet";
import type { Decoder, PreTokenizer } from "./pipeline";
import { TokenizerError, unsupported } from "./tokenizer-error";
import type { AddedTokenJson, TokenizerJson } from "./tokenizer-json";

/** Refuses models that merge by other rules than plain byte-pair encoding. */
function requireBytePairs({ model }: TokenizerJson): void {
  if (model === undefined || model === null) throw unsupported("model", "given", model);
  if ((model.type ?? "BPE") !== "BPE" || !Array.isArray(model.merges)) throw unsupported("model.type", '"BPE" with merges', model.type);
  if (model.dropout) throw unsupported("model.dropout", "absent", model.dropout);
  if (model.continuing_subword_prefix) throw unsupported("model.continuing_subword_prefix", "empty", model.continuing_subword_prefix);
  if (model.end_of_word_suffix) throw unsupported("model.end_of_word_suffix", "empty", model.end_of_word_suffix);
}

/** (merges, 3): the ids of each merge's two sides and of what they make. */
function readMerges({ model: { merges } }: TokenizerJson, vocab: ReadonlyMap<string, number>): Uint32Array {
  const rows = new Uint32Array(merges.length * 3);
  const idOf = (token: string, i: number) => {
    const id = vocab.get(token);
    if (id === undefined) throw unsupported(`model.merges[${i}]`, "made of tokens of the vocabulary", merges[i]);
    return id;
  };
  merges.forEach((merge, i) => {
    let [left, right] = typeof merge === "string" ? ["", ""] : merge;
    if (typeof merge === "string") {
      // A token may itself hold a space, never at the place where one joins two tokens of the vocabulary.
      const space = merge.indexOf(" ", 1);
      [left, right] = [merge.slice(0, space), merge.slice(space + 1)];
    }
    rows[3 * i] = idOf(left, i);
    rows[3 * i + 1] = idOf(right, i);
    rows[3 * i + 2] = idOf(left + right, i);
  });
  return rows;
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/** The encoder's tables, and each id's token. */
export function readVocabulary(
  json: TokenizerJson,
  added: readonly AddedTokenJson[],
  preTokenizer: PreTokenizer,
  decoder: Decoder,
): { model: BytePairModel; tokens: (string | undefined)[]; ids: Map<string, number> } {
  requireBytePairs(json);
  const { unk_token: unknown, ignore_merges: ignoreMerges } = json.model;
  const vocab: ReadonlyMap<string, number> = new Map(Object.entries(json.model.vocab));
  if (preTokenizer.byteLevel !== decoder.byteLevel) {
    throw unsupported("decoder", preTokenizer.byteLevel ? "ByteLevel like the pre-tokenizer" : "other than ByteLevel", json.decoder);
  }
  const ids = new Map(vocab);
  for (const { content, id } of added) ids.set(content, id);
  let size = 0;
  for (const [token, id] of ids) {
    if (!Number.isInteger(id) || id < 0)
      throw new TokenizerError(`Tokenizer.fromJSON: ids must be integers of at least 0, got ${id} for "${token}". Correct model.vocab.`);
    size = Math.max(size, id + 1);
  }
  const tokens = new Array<string | undefined>(size);
  const none = new Uint8Array(0);
  const pieces = new Array<Uint8Array>(size).fill(none);
  const byteIds = new Int32Array(256).fill(-1);
  const characters = new Map<number, number>();
  for (const [token, id] of ids) {
    tokens[id] = token;
    const byte = decoder.byteFallback ? BYTE_TOKEN.exec(token) : null;
    if (byte) pieces[id] = Uint8Array.of(Number.parseInt(byte[1]!, 16));
    else pieces[id] = (decoder.byteLevel ? bytesOfToken(token) : undefined) ?? utf8(decoder.byteLevel ? token : decoder.textOf(token));
  }
  if (preTokenizer.byteLevel) {
    byteCharacters.forEach((character, byte) => {
      byteIds[byte] = vocab.get(character) ?? -1;
    });
  } else {
    for (const [token, id] of vocab) {
      const code = token.codePointAt(0);
      if (code !== undefined && token.length === (code > 0xffff ? 2 : 1)) characters.set(code, id);
    }
    if (json.model.byte_fallback) {
      for (let byte = 0; byte < 256; byte++) byteIds[byte] = vocab.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`) ?? -1;
    }
  }
  let wholeWords: Map<number, Uint8Array> | undefined;
  if (ignoreMerges) {
    wholeWords = new Map();
    for (const [token, id] of vocab) wholeWords.set(id, preTokenizer.byteLevel ? (bytesOfToken(token) ?? utf8(token)) : utf8(token));
  }
  // An added token stands for its own text, even where the byte alphabet could read it otherwise.
  for (const { content, id } of added) pieces[id] = utf8(content);
  return {
    model: {
      pieces,
      merges: readMerges(json, vocab),
      preTokenization: preTokenizer.words,
      byteIds,
      characters: preTokenizer.byteLevel ? undefined : characters,
      byteFallback: json.model.byte_fallback === true,
      wholeWords,
      unknownId: unknown == null ? undefined : vocab.get(unknown),
      fuseUnknown: json.model.fuse_unk === true,
    },
    tokens,
    ids,
  };
}
