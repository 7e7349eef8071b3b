/** Text to ids: stretches of text and ids already known, in the order of a layout; words cut by the scanner, then the model. */
import { encodeBytePair } from "./byte-pair";
import { beginScan, nextWord } from "./scan";
import { encodeUnigram } from "./unigram";
import { recall, remember } from "./word-cache";
import { encodeWordLevel, encodeWordPiece } from "./word-piece";

export const BYTE_PAIR: u32 = 0;
export const UNIGRAM: u32 = 1;
export const WORD_PIECE: u32 = 2;
export const WORD_LEVEL: u32 = 3;

/** A layout's entry with this bit is an id; without, the UTF-16 length of a stretch of text. */
const IS_ID: u32 = 0x80000000;

let model: u32 = BYTE_PAIR;

export function configureModel(kind: u32): void {
  model = kind;
}

/**
 * text (length) UTF-8, readable for 16 bytes beyond; layout (entries) u32, none = the text is one stretch; out must hold `length + entries`
 * u32. Returns the number of ids.
 */
export function encode(text: usize, length: usize, layout: usize, entries: u32, out: usize): u32 {
  if (entries == 0) return <u32>((encodeStretch(text, text + length, out) - out) >> 2);
  let o = out;
  let p = text;
  for (let i: u32 = 0; i < entries; i++) {
    const entry = load<u32>(layout + (<usize>i << 2));
    if (entry & IS_ID) {
      store<u32>(o, entry & ~IS_ID);
      o += 4;
    } else {
      const end = afterUnits(p, entry);
      o = encodeStretch(p, end, o);
      p = end;
    }
  }
  return <u32>((o - out) >> 2);
}

/** The address that many UTF-16 code units further on: one for each character, two for those of four bytes. */
function afterUnits(p: usize, units: u32): usize {
  while (units > 0) {
    const b = load<u8>(p);
    if (b < 0x80) p += 1;
    else if (b < 0xe0) p += 2;
    else if (b < 0xf0) p += 3;
    else {
      p += 4;
      units -= 1;
    }
    units -= 1;
  }
  return p;
}

function encodeStretch(p: usize, end: usize, out: usize): usize {
  beginScan(p);
  while (p < end) {
    const q = nextWord(p, end);
    const length = q - p;
    const known = recall(p, length, out);
    if (known != 0) out = known;
    else {
      const next = encodeWord(p, length, out);
      remember(p, length, out, next);
      out = next;
    }
    p = q;
  }
  return out;
}

function encodeWord(p: usize, length: usize, out: usize): usize {
  switch (model) {
    case UNIGRAM:
      return encodeUnigram(p, length, out);
    case WORD_PIECE:
      return encodeWordPiece(p, length, out);
    case WORD_LEVEL:
      return encodeWordLevel(p, length, out);
    default:
      return encodeBytePair(p, length, out);
  }
}
