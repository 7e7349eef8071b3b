/** The vocabulary: names of tokens and their ids, kept as bytes in the encoder rather than as strings. */
import { type ByteStrings, MAX_TOKENS, type TokenEncoder, utf8Decoder } from "@trimtab/kernels";
import type { AddedToken } from "./added-tokens";
import { bytesOfToken, tokenOfBytes, utf8, writeBytesOfToken } from "./byte-alphabet";
import { ByteStringsBuilder } from "./byte-strings";
import { type BytesDecoder, byteOfToken } from "./decoders";
import type { JsonField } from "./json-field";
import { isMetaspace } from "./metaspace";
import type { NameTable } from "./name-table";

const SPACE = 0x20;

/** Refuses added tokens that contradict the model's own, or one another. */
export function checkAdded(own: NameTable, added: readonly AddedToken[], field: JsonField): void {
  const ids = new Map<string, number>();
  const names = new Map<number, string>();
  added.forEach(({ id, content }, i) => {
    const path = () => field.items()[i] ?? field;
    if (id >= MAX_TOKENS) throw path().must(`a token with an id below ${MAX_TOKENS}`);
    const expected = own.idOf(content) ?? ids.get(content) ?? id;
    if (expected !== id) throw path().must(`a token with the id that "${content}" already has, ${expected}`);
    const name = names.get(id) ?? own.nameOf(id);
    if (name !== undefined && name !== content) throw path().must(`a token with an id of its own, not that of "${name}"`);
    ids.set(content, id);
    names.set(id, content);
  });
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

/** The model's own tokens, and the added ones that it lacks. */
export function makeTables(own: NameTable, added: readonly AddedToken[], byteLevel: boolean, decoder: BytesDecoder | undefined): Tables {
  const others = new Map(added.map(({ id, content }) => [id, content]));
  const size = added.reduce((most, { id }) => Math.max(most, id + 1), own.size);
  const exceptions = new Map<number, string>();
  const hidden: number[] = [];
  const tokens = new ByteStringsBuilder(size, own.bytes.length);
  const pieces = byteLevel || decoder === undefined ? undefined : new ByteStringsBuilder(size, own.bytes.length);
  for (let id = 0; id < size; id++) {
    const isOwn = own.has(id);
    const other = isOwn ? undefined : others.get(id);
    const name = isOwn ? own.bytes : utf8(other ?? "");
    const start = isOwn ? own.start(id) : 0;
    const end = isOwn ? own.end(id) : name.length;
    tokens.room(end - start);
    const bytesEnd = byteLevel && isOwn ? writeOwnBytes(own, start, end, tokens.bytes, tokens.end) : -1;
    // An added token stands for its own text, even where the byte alphabet could read it otherwise.
    if (bytesEnd >= 0) tokens.close(bytesEnd);
    else tokens.add(name, start, end);
    const isFound = isOwn && (!byteLevel || bytesEnd >= 0);
    if (!isFound) hidden.push(id);
    if ((isOwn || other !== undefined) && (!isFound || start === end)) exceptions.set(id, other ?? (own.nameOf(id) as string));
    if (!pieces) continue;
    pieces.room(end - start);
    pieces.close(writePiece(name, start, end, isOwn, decoder as BytesDecoder, pieces.bytes, pieces.end));
  }
  return { tokens: tokens.finish(), pieces: pieces?.finish(), exceptions, hidden };
}

/** The bytes of one of the model's byte-level tokens; -1 where its name is outside the alphabet. */
function writeOwnBytes({ bytes, areBytes }: NameTable, start: number, end: number, into: Uint8Array, at: number): number {
  return areBytes ? copy(bytes, start, end, into, at) : writeBytesOfToken(bytes, start, end, into, at);
}

function copy(from: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  for (let i = start; i < end; i++) into[at++] = from[i]!;
  return at;
}

/** What a token decodes to. */
function writePiece(
  name: Uint8Array,
  start: number,
  end: number,
  isOwn: boolean,
  { byteLevel, byteFallback, spaces }: BytesDecoder,
  into: Uint8Array,
  at: number,
): number {
  if (byteLevel && isOwn) {
    const written = writeBytesOfToken(name, start, end, into, at);
    if (written >= 0) return written;
  }
  const mayBeByte = byteFallback && end - start === "<0x00>".length;
  const byte = mayBeByte ? byteOfToken(utf8Decoder().decode(name.subarray(start, end))) : undefined;
  if (byte !== undefined) {
    into[at] = byte;
    return at + 1;
  }
  if (!spaces) return copy(name, start, end, into, at);
  for (let i = start; i < end; ) {
    const isSpace = isMetaspace(name, i, end);
    into[at++] = isSpace ? SPACE : name[i]!;
    i += isSpace ? 3 : 1;
  }
  return at;
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
