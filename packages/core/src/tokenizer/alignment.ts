/** Where tokens begin in the text that they were made of. */
import { utf8 } from "./byte-alphabet";

/** A token's bytes, and whether it was cut out as an added token. */
export interface SpelledToken {
  readonly bytes: Uint8Array;
  readonly isAdded: boolean;
}

const SPACE = 0x20;

/**
 * Bytes of UTF-8 before each token, and of the whole text at the end, (N + 1); undefined where the tokens, one after another, do not spell the
 * text. After an added token and at the beginning a token may have a space more than the text, which SentencePiece's tokenizers put there.
 */
export function alignTokens(text: string, tokens: Iterable<SpelledToken>): Uint32Array<ArrayBuffer> | undefined {
  const bytes = utf8(text);
  const starts: number[] = [];
  let at = 0;
  let isAfterAdded = true;
  const follows = (piece: Uint8Array) => at + piece.length <= bytes.length && piece.every((byte, i) => bytes[at + i] === byte);
  for (const token of tokens) {
    const isSpaced = isAfterAdded && token.bytes[0] === SPACE;
    const piece = follows(token.bytes) ? token.bytes : isSpaced ? token.bytes.subarray(1) : undefined;
    if (piece === undefined || !follows(piece)) return undefined;
    starts.push(at);
    at += piece.length;
    isAfterAdded = token.isAdded;
  }
  return at === bytes.length ? Uint32Array.from([...starts, at]) : undefined;
}
