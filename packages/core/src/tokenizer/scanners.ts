/** The expressions that a WebAssembly scanner cuts words by. */
import type { Scanner } from "@trimtab/kernels";
import type { JsonField } from "./json-field";
import { isMetaspace, METASPACE } from "./metaspace";
import type { NameTable } from "./name-table";

export const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const CL100K_HEAD = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}";
const CL100K_TAIL = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const O200K = [
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "\\p{N}{1,3}",
  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*",
  "\\s*[\\r\\n]+",
  "\\s+(?!\\S)",
  "\\s+",
].join("|");

/** The published expressions that a scanner stands for; that of Qwen 2 and 3 is cl100k's with single digits. */
export const splitExpressions = { gpt2: GPT2, cl100k: `${CL100K_HEAD}{1,3}${CL100K_TAIL}`, o200k: O200K } as const;

/** The scanner with an expression's semantics; undefined where none has them. */
export function scannerOf(expression: string): Scanner | undefined {
  if (expression === GPT2) return { type: "gpt2" };
  if (expression === O200K) return { type: "o200k" };
  if (!expression.startsWith(CL100K_HEAD) || !expression.endsWith(CL100K_TAIL)) return undefined;
  const digits = /^(?:\{1,(\d{1,9})\})?$/.exec(expression.slice(CL100K_HEAD.length, -CL100K_TAIL.length));
  return digits ? { type: "cl100k", maxDigits: Number(digits[1] ?? 1) } : undefined;
}

/** The scanner that does what a Split does; undefined where none does. */
export function scannerOfSplit(split: JsonField): Scanner | undefined {
  const expression = split.get("pattern").get("Regex");
  const behavior = split.get("behavior").value;
  const isInverted = split.get("invert").boolean(false);
  // Removing what the inverted expression leaves over is isolating its matches, since these expressions cover any text.
  const isolates = isInverted ? behavior === "Removed" : behavior === "Isolated";
  return expression.isAbsent || !isolates ? undefined : scannerOf(expression.string());
}

/**
 * Whether a text may be cut before each run of U+2581 without changing what byte-pair encoding makes of it: no token has one after another
 * character, so no merge crosses such a place. SentencePiece's vocabularies are so, and words can then be remembered.
 */
export function canCutAtMetaspaces(names: NameTable): boolean {
  if (names.idOf(METASPACE) === undefined) return false;
  const { bytes } = names;
  for (let id = 0; id < names.size; id++) {
    if (!names.has(id)) continue;
    const [start, end] = [names.start(id), names.end(id)];
    for (let i = start + 1; i < end; i++) {
      if (isMetaspace(bytes, i, end) && !(i - 3 >= start && isMetaspace(bytes, i - 3, end))) return false;
    }
  }
  return true;
}
