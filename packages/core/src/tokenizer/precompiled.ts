/** The Precompiled normalizer: SentencePiece's table of replacements, a double-array trie and the texts that it leads to. */
import { utf8Decoder } from "@trimtab/kernels";
import { decodeBase64 } from "./base64";
import { utf8 } from "./byte-alphabet";
import type { JsonField } from "./json-field";

/** Longest grapheme, in bytes, that is looked up as a whole. */
const LONGEST_GRAPHEME = 5;

/** Replacements that are remembered at a time: what is asked for comes from the text, so the memory must have an end. */
const REMEMBERED = 4096;

/** Characters that can be in a grapheme with others (Unicode's annex 29: extending, prepended, conjoining, in emoji and flags; CR LF). */
const CAN_COMBINE =
  /[\r\p{M}\p{Cf}\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\u0d4e\u0e33\u0eb3\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff\uff9e\uff9f\u{11000}-\u{11fff}]/u;

/**
 * Reads `precompiled_charsmap`: base64 of the trie's size in bytes (u32, little endian), the trie (Yata's darts-clone units) and the texts, each
 * ended by a 0. As in Hugging Face tokenizers 0.23, a grapheme of up to 5 bytes is replaced by the text of the shortest entry that it begins
 * with, else each of its characters is.
 */
export function readPrecompiled(component: JsonField): (text: string) => string {
  const field = component.get("precompiled_charsmap");
  const bytes = decodeBase64(field.string());
  const view = bytes && new DataView(bytes.buffer);
  const trieSize = view !== undefined && view.byteLength >= 4 ? view.getUint32(0, true) : 1;
  if (bytes === undefined || view === undefined || trieSize % 4 !== 0 || trieSize > bytes.length - 4) {
    throw field.must("a SentencePiece character map in base64");
  }
  const units = Uint32Array.from({ length: trieSize / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const texts = bytes.subarray(4 + trieSize);
  const remembered = new Map<string, string | null>();
  const replacement = (part: string): string | null => {
    let found = remembered.get(part);
    if (found !== undefined) return found;
    const at = shortestEntry(units, utf8(part));
    found = at === undefined ? null : textAt(texts, at);
    if (remembered.size >= REMEMBERED) remembered.clear();
    remembered.set(part, found);
    return found;
  };
  const character = (part: string) => replacement(part) ?? part;
  const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });
  return (text) => {
    if (!CAN_COMBINE.test(text)) return Array.from(text, character).join("");
    const graphemes = Array.from(segmenter.segment(text), ({ segment }) => {
      const whole = segment.length <= LONGEST_GRAPHEME && utf8(segment).length <= LONGEST_GRAPHEME ? replacement(segment) : null;
      return whole ?? Array.from(segment, character).join("");
    });
    return graphemes.join("");
  };
}

/** Place of the text for the shortest entry of the trie that the key begins with. */
function shortestEntry(units: Uint32Array, key: Uint8Array): number | undefined {
  const offset = (unit: number) => (unit >>> 10) << ((unit & (1 << 9)) >>> 6);
  let unit = units[0];
  if (unit === undefined) return undefined;
  let node = offset(unit);
  for (const byte of key) {
    if (byte === 0) return undefined;
    node ^= byte;
    unit = units[node];
    if (unit === undefined || (unit & 0x800000ff) !== byte) return undefined;
    node ^= offset(unit);
    if (((unit >>> 8) & 1) === 1) return (units[node] ?? 0) & 0x7fffffff;
  }
  return undefined;
}

function textAt(texts: Uint8Array, at: number): string {
  const end = texts.indexOf(0, at);
  return utf8Decoder().decode(texts.slice(at, end < 0 ? texts.length : end));
}
