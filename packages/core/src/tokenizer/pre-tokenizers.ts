/** `pre_tokenizer` of tokenizer.json: how text is cut into words (Hugging Face tokenizers 0.23). */
import type { Scanner } from "@trimtab/kernels";
import { byteLevelText } from "./byte-alphabet";
import { type JsonField, type Readers, readComponent } from "./json-field";
import { METASPACE, readCharacter, readMetaspaceFields } from "./metaspace";
import { translateExpression } from "./oniguruma";
import { matches, readPattern } from "./patterns";
import { GPT2, scannerOfSplit } from "./scanners";
import { type SplitBehavior, splitAt, splitBehaviors } from "./split-behavior";

/** A stretch of text that no token crosses; `start` 0 begins the whole text. */
export interface Stretch {
  readonly text: string;
  readonly start: number;
}

/** Cuts a stretch into stretches, which may be changed; the scanner goes on with each. */
export type Cut = (stretch: Stretch) => readonly Stretch[];

/** What the pre-tokenizer comes to. */
export interface PreTokenizer {
  /** What is left for JavaScript, in order. */
  readonly cuts: readonly Cut[];
  readonly scanner: Scanner;
  /** The words' bytes are the model's symbols; otherwise the model sees text. */
  readonly byteLevel: boolean;
}

const slice = ({ text, start }: Stretch, from: number, to: number): Stretch => ({ text: text.slice(from, to), start: start + from });

/** Splits at an expression's matches. */
function cutAt(expression: RegExp, behavior: SplitBehavior, isInverted = false): Cut {
  return (stretch) => {
    const found = matches(expression, stretch.text);
    const meant = isInverted ? found.map(([from, to, isMatch]) => [from, to, !isMatch] as const) : found;
    return splitAt(meant, behavior).map(([from, to]) => slice(stretch, from, to));
  };
}

const gpt2 = new RegExp(translateExpression(GPT2), "gv");
const prependSpace: Cut = ({ text, start }) => [{ text: text === "" || text.startsWith(" ") ? text : ` ${text}`, start }];
const toByteLevel: Cut = ({ text, start }) => [{ text: byteLevelText(text), start }];

function readByteLevel(component: JsonField): { prefix: Cut[]; usesExpression: boolean } {
  const prefix = component.get("add_prefix_space").boolean(true) ? [prependSpace] : [];
  return { prefix, usesExpression: component.get("use_regex").boolean(true) };
}

/** Each component as cuts alone. */
const readers: Readers<readonly Cut[]> = {
  ByteLevel: (component) => {
    const { prefix, usesExpression } = readByteLevel(component);
    return [...prefix, ...(usesExpression ? [cutAt(gpt2, "Isolated")] : []), toByteLevel];
  },
  Split: (component) => {
    const behavior = component.get("behavior").oneOf(splitBehaviors);
    return [cutAt(readPattern(component.get("pattern")), behavior, component.get("invert").boolean(false))];
  },
  Metaspace: (component) => {
    const { replacement, prepare, splits } = readMetaspace(component);
    return splits ? [prepare, cutAt(new RegExp(`[\\u{${replacement.codePointAt(0)!.toString(16)}}]`, "gv"), "MergedWithNext")] : [prepare];
  },
  Whitespace: () => [
    cutAt(
      /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu,
      "Removed",
      true,
    ),
  ],
  WhitespaceSplit: () => [cutAt(/\p{White_Space}/gu, "Removed")],
  Punctuation: (component) => [cutAt(/[\p{P}$+<=>^`|~]/gu, component.get("behavior").oneOf(splitBehaviors, "Isolated"))],
  Digits: (component) => [cutAt(/\p{N}/gu, component.get("individual_digits").boolean(false) ? "Isolated" : "Contiguous")],
  BertPreTokenizer: () => [cutAt(/\p{White_Space}/gu, "Removed"), cutAt(/[\p{P}$+<=>^`|~]/gu, "Isolated")],
  CharDelimiterSplit: (component) => {
    const delimiter = readCharacter(component.get("delimiter"));
    return [cutAt(new RegExp(`[\\u{${delimiter.codePointAt(0)!.toString(16)}}]`, "gv"), "Removed")];
  },
  FixedLength: (component) => [cutEvery(component.get("length").integer(1, 5))],
  Sequence: (component) => leaves(component).flatMap((leaf) => readComponent(leaf, readers)),
};

/** The components of a sequence, and of sequences in it. */
function leaves(component: JsonField): JsonField[] {
  return component.get("type").value === "Sequence" ? component.get("pretokenizers").items().flatMap(leaves) : [component];
}

/** Reads the pre-tokenizer; `wantsBytes` where the model can take bytes as its symbols. Absent: the text is one word. */
export function readPreTokenizer(component: JsonField, wantsBytes: boolean): PreTokenizer {
  if (component.isAbsent) return { cuts: [], scanner: { type: "whole" }, byteLevel: false };
  const rest = leaves(component);
  // Everything is read once, so that errors name the field whatever is left to the scanner.
  for (const leaf of rest) readComponent(leaf, readers);
  const cuts = (more: readonly Cut[] = []) => [...rest.flatMap((leaf) => readComponent(leaf, readers)), ...more];
  const typeOf = (leaf: JsonField | undefined) => leaf?.get("type").value;
  const last = rest.at(-1);
  if (last === undefined) return { cuts: [], scanner: { type: "whole" }, byteLevel: false };
  if (typeOf(last) === "ByteLevel" && wantsBytes) {
    rest.pop();
    const { prefix, usesExpression } = readByteLevel(last);
    const before = rest.at(-1);
    // What is put in front of each piece must come after the pieces are made.
    const canJoin = before !== undefined && prefix.length === 0;
    if (usesExpression) {
      const isolateDigits = canJoin && typeOf(before) === "Digits" && before.get("individual_digits").boolean(false);
      if (isolateDigits) rest.pop();
      return { cuts: cuts(prefix), scanner: { type: "gpt2", isolateDigits }, byteLevel: true };
    }
    const scanner = canJoin && typeOf(before) === "Split" ? scannerOfSplit(before) : undefined;
    if (scanner !== undefined) rest.pop();
    return { cuts: cuts(prefix), scanner: scanner ?? { type: "whole" }, byteLevel: true };
  }
  if (typeOf(last) === "Metaspace") {
    const { replacement, prepare, splits } = readMetaspace(last);
    if (replacement === METASPACE) {
      rest.pop();
      return { cuts: cuts([prepare]), scanner: { type: splits ? "metaspace" : "whole" }, byteLevel: false };
    }
  }
  const scanner = typeOf(last) === "Split" ? scannerOfSplit(last) : undefined;
  if (scanner !== undefined) rest.pop();
  return { cuts: cuts(), scanner: scanner ?? { type: "whole" }, byteLevel: false };
}

function readMetaspace(component: JsonField): { replacement: string; prepare: Cut; splits: boolean } {
  const { replacement, scheme, splits } = readMetaspaceFields(component);
  const prepare: Cut = ({ text, start }) => {
    const replaced = text.replaceAll(" ", replacement);
    const prepends = text !== "" && (scheme === "always" || (scheme === "first" && start === 0)) && !replaced.startsWith(replacement);
    return [{ text: prepends ? replacement + replaced : replaced, start }];
  };
  return { replacement, prepare, splits };
}

/** Pieces of `length` characters. */
function cutEvery(length: number): Cut {
  const expression = new RegExp(`[^]{1,${length}}`, "gu");
  return cutAt(expression, "Isolated");
}
