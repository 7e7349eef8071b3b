/** The vocabulary: names of tokens and their ids, kept as bytes in the encoder rather than as strings. */
import { type ByteStrings, MAX_TOKENS, type TokenEncoder, utf8Decoder } from "@trimtab/kernels";
import type { AddedToken } from "./added-tokens";
import { bytesOfToken, tokenOfBytes, utf8, writeBytesOfToken, writeUtf8 } from "./byte-alphabet";
import { ByteStringsBuilder } from "./byte-strings";
import { type BytesDecoder, byteOfToken } from "./decoders";
import type { JsonField } from "./json-field";
import { METASPACE } from "./metaspace";

/** Names by id; an id that is not used has none. */
export type Names = (string | undefined)[];

/** The model's own tokens: an object of ids, or Unigram's list of [token, score]. */
export function readNames(vocab: JsonField): Names {
  if (Array.isArray(vocab.value)) {
    return vocab.items().map((row) => {
      const pair = row.array();
      if (pair.length !== 2) throw row.must("a token and its score");
      return row.items()[0]!.string();
    });
  }
  const ids = vocab.object();
  const names: Names = [];
  for (const name of Object.keys(ids)) {
    const id = ids[name];
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= MAX_TOKENS) {
      throw vocab.get(name).must(`an id, an integer from 0 to ${MAX_TOKENS - 1}`);
    }
    const other = names[id as number];
    if (other !== undefined) throw vocab.get(name).must(`an id of its own, not that of "${other}"`);
    names[id as number] = name;
  }
  return names;
}

/** Enters the added tokens, refusing those that contradict the model's own. */
export function addNames(names: Names, added: readonly AddedToken[], idOf: (token: string) => number | undefined, field: JsonField): Names {
  const all = [...names];
  const own = new Map<string, number>();
  added.forEach(({ id, content }, i) => {
    const path = () => field.items()[i] ?? field;
    if (id >= MAX_TOKENS) throw path().must(`a token with an id below ${MAX_TOKENS}`);
    const expected = idOf(content) ?? own.get(content) ?? id;
    if (expected !== id) throw path().must(`a token with the id that "${content}" already has, ${expected}`);
    if (all[id] !== undefined && all[id] !== content) throw path().must(`a token with an id of its own, not that of "${all[id]}"`);
    own.set(content, id);
    all[id] = content;
  });
  return all;
}

/** The encoder's tables and what cannot be said in them. */
export interface Tables {
  readonly tokens: ByteStrings;
  readonly pieces: ByteStrings | undefined;
  /** Names of tokens that the model does not have, or that are not what their bytes in `tokens` say. */
  readonly exceptions: ReadonlyMap<number, string>;
  /** Ids that no text leads to, ascending. */
  readonly hidden: readonly number[];
}

/** `names` with the added tokens, `own` without. */
export function makeTables(names: Names, own: Names, byteLevel: boolean, decoder: BytesDecoder | undefined): Tables {
  const exceptions = new Map<number, string>();
  const hidden: number[] = [];
  const tokens = new ByteStringsBuilder(names.length);
  const pieces = byteLevel || decoder === undefined ? undefined : new ByteStringsBuilder(names.length);
  for (let id = 0; id < names.length; id++) {
    const name = names[id] ?? "";
    const isOwn = own[id] !== undefined;
    const isBytes = byteLevel && isOwn && tokens.add(name.length, (into, at) => writeBytesOfToken(name, into, at));
    // An added token stands for its own text, even where the byte alphabet could read it otherwise.
    if (!isBytes) tokens.add(name.length * 3, (into, at) => writeUtf8(name, into, at));
    const isFound = isBytes || (!byteLevel && isOwn);
    if (!isFound) hidden.push(id);
    if (names[id] !== undefined && (!isFound || name === "")) exceptions.set(id, name);
    pieces?.add(name.length * 3, (into, at) => writePiece(name, isOwn, decoder!, into, at));
  }
  return { tokens: tokens.finish(), pieces: pieces?.finish(), exceptions, hidden };
}

function writePiece(name: string, isOwn: boolean, decoder: BytesDecoder, into: Uint8Array, at: number): number {
  const { byteLevel, byteFallback, spaces } = decoder;
  if (byteLevel && isOwn) {
    const end = writeBytesOfToken(name, into, at);
    if (end >= 0) return end;
  }
  const byte = byteFallback ? byteOfToken(name) : undefined;
  if (byte === undefined) return writeUtf8(spaces ? name.replaceAll(METASPACE, " ") : name, into, at);
  into[at] = byte;
  return at + 1;
}

/** Names to ids and back, by the encoder's tables. */
export class Vocabulary {
  readonly #encoder: TokenEncoder;
  readonly #byteLevel: boolean;
  readonly #names: ReadonlyMap<number, string>;
  readonly #ids: ReadonlyMap<string, number>;

  constructor(encoder: TokenEncoder, byteLevel: boolean, exceptions: ReadonlyMap<number, string>) {
    this.#encoder = encoder;
    this.#byteLevel = byteLevel;
    this.#names = exceptions;
    this.#ids = new Map([...exceptions].map(([id, name]) => [name, id]));
  }

  idOf(token: string): number | undefined {
    const id = this.#ids.get(token);
    if (id !== undefined) return id;
    const bytes = this.#byteLevel ? bytesOfToken(token) : utf8(token);
    return bytes && this.#encoder.find(bytes);
  }

  tokenOf(id: number): string | undefined {
    const name = this.#names.get(id);
    if (name !== undefined) return name;
    const bytes = this.#encoder.token(id);
    if (bytes.length === 0) return undefined;
    return this.#byteLevel ? tokenOfBytes(bytes) : utf8Decoder().decode(bytes);
  }
}
