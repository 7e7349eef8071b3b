/** Reads tokenizer.json's normalizer, pre-tokenizer, post-processor and decoder into plain functions; refuses what it does not know. */
import type { PreTokenization } from "@trimtab/kernels";
import { unsupported } from "./tokenizer-error";
import type { ComponentJson } from "./tokenizer-json";

/** Text to text, before words are cut. */
export type Normalizer = (text: string) => string;

const parts = (component: ComponentJson, field: string): ComponentJson[] => (component[field] as ComponentJson[] | undefined) ?? [];

/** `normalizer`: a function of one segment between added tokens. */
export function readNormalizer(component: ComponentJson | null | undefined, field = "normalizer"): Normalizer {
  if (component == null) return (text) => text;
  switch (component.type) {
    case "Sequence": {
      const steps = parts(component, "normalizers").map((part, i) => readNormalizer(part, `${field}.normalizers[${i}]`));
      return (text) => steps.reduce((result, step) => step(result), text);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD": {
      const form = component.type;
      // ASCII is normal in every form.
      return (text) => (/^[\0-\x7f]*$/.test(text) ? text : text.normalize(form));
    }
    case "Lowercase":
      return (text) => text.toLowerCase();
    case "Prepend":
      return (text) => (text === "" ? text : `${component.prepend}${text}`);
    case "Strip":
      return (text) => {
        const left = component.strip_left ? text.trimStart() : text;
        return component.strip_right ? left.trimEnd() : left;
      };
    case "Replace":
      return readReplace(component, field);
    default:
      throw unsupported(`${field}.type`, "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace or Strip", component.type);
  }
}

function readReplace(component: ComponentJson, field: string): Normalizer {
  const content = String(component.content);
  const pattern = component.pattern as { String?: string; Regex?: string } | undefined;
  if (pattern?.String !== undefined) {
    const from = pattern.String;
    return (text) => text.replaceAll(from, () => content);
  }
  try {
    const expression = new RegExp(pattern?.Regex ?? "(", "gu");
    return (text) => text.replace(expression, () => content);
  } catch {
    throw unsupported(`${field}.pattern`, "a string or an expression JavaScript knows", pattern);
  }
}

/** What the pre-tokenizer comes to. */
export interface PreTokenizer {
  readonly words: PreTokenization;
  /** Symbols are bytes rather than characters. */
  readonly byteLevel: boolean;
  /** Last change of a segment's text; `isFirst` when it begins the whole text. */
  readonly prepare: (text: string, isFirst: boolean) => string;
}

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const CL100K_HEAD = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}";
const CL100K_TAIL = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** `pre_tokenizer` of the byte-level and the SentencePiece-style families. */
export function readPreTokenizer(component: ComponentJson | null | undefined, field = "pre_tokenizer"): PreTokenizer {
  const unchanged = (text: string) => text;
  if (component == null) return { words: { type: "whole" }, byteLevel: false, prepare: unchanged };
  switch (component.type) {
    case "ByteLevel": {
      const withSpace = (text: string) => (text.startsWith(" ") ? text : ` ${text}`);
      return {
        words: component.use_regex === false ? { type: "whole" } : { type: "gpt2" },
        byteLevel: true,
        prepare: component.add_prefix_space ? withSpace : unchanged,
      };
    }
    case "Metaspace":
      return readMetaspace(component);
    case "Split":
      return { words: readSplit(component, field), byteLevel: false, prepare: unchanged };
    case "Sequence":
      return readPreTokenizerSequence(component, field);
    default:
      throw unsupported(`${field}.type`, "ByteLevel, Metaspace, Split or Sequence", component.type);
  }
}

function readMetaspace(component: ComponentJson): PreTokenizer {
  const replacement = String(component.replacement ?? "\u2581");
  if (replacement !== "\u2581") throw unsupported("pre_tokenizer.replacement", '"\u2581"', replacement);
  const scheme = component.prepend_scheme ?? (component.add_prefix_space === false ? "never" : "always");
  return {
    words: component.split === false ? { type: "whole" } : { type: "metaspace" },
    byteLevel: false,
    prepare: (text, isFirst) => {
      const replaced = text.replaceAll(" ", replacement);
      const prepends = scheme === "always" || (scheme === "first" && isFirst);
      return prepends && !replaced.startsWith(replacement) ? replacement + replaced : replaced;
    },
  };
}

function readSplit(component: ComponentJson, field: string): PreTokenization {
  const pattern = component.pattern as { String?: string; Regex?: string } | undefined;
  const expression = pattern?.Regex ?? "";
  // Gemma splits at spaces that its normalizer has already replaced: nothing is split.
  if (pattern?.String === " " && component.behavior === "MergedWithPrevious") return { type: "whole" };
  // Removing what the inverted expression leaves over is isolating its matches, since they cover any text.
  if ((component.behavior === "Isolated" && !component.invert) || (component.behavior === "Removed" && component.invert)) {
    if (expression === GPT2) return { type: "gpt2" };
    if (expression.startsWith(CL100K_HEAD) && expression.endsWith(CL100K_TAIL)) {
      const digits = /^(?:\{1,(\d+)\})?$/.exec(expression.slice(CL100K_HEAD.length, -CL100K_TAIL.length));
      if (digits) return { type: "cl100k", maxDigits: Number(digits[1] ?? 1) };
    }
  }
  throw unsupported(`${field}.pattern`, "the expression of GPT-2, Llama 3 or Qwen", component.pattern);
}

function readPreTokenizerSequence(component: ComponentJson, field: string): PreTokenizer {
  const steps = parts(component, "pretokenizers");
  const [first, last] = steps;
  if (steps.length === 1) return readPreTokenizer(first, `${field}.pretokenizers[0]`);
  if (steps.length === 2 && last?.type === "ByteLevel" && !last.add_prefix_space) {
    const rest = readPreTokenizer(last, `${field}.pretokenizers[1]`);
    if (first?.type === "Split" && last.use_regex === false) {
      return { ...rest, words: readSplit(first, `${field}.pretokenizers[0]`) };
    }
    if (first?.type === "Digits" && first.individual_digits === true && rest.words.type === "gpt2") {
      return { ...rest, words: { type: "gpt2", isolateDigits: true } };
    }
  }
  throw unsupported(
    field,
    "Split or Digits followed by ByteLevel",
    steps.map(({ type }) => type),
  );
}

/** Ids that go round a text when special tokens are added. */
export interface Surroundings {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** `post_processor`, for single texts. */
export function readPostProcessor(component: ComponentJson | null | undefined, field = "post_processor"): Surroundings {
  if (component == null || component.type === "ByteLevel") return { before: [], after: [] };
  switch (component.type) {
    case "Sequence": {
      const steps = parts(component, "processors").map((part, i) => readPostProcessor(part, `${field}.processors[${i}]`));
      return { before: steps.flatMap(({ before }) => before).reverse(), after: steps.flatMap(({ after }) => after) };
    }
    case "TemplateProcessing":
      return readTemplate(component, field);
    case "BertProcessing":
    case "RobertaProcessing":
      return { before: [(component.cls as [string, number])[1]], after: [(component.sep as [string, number])[1]] };
    default:
      throw unsupported(`${field}.type`, "TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing or Sequence", component.type);
  }
}

function readTemplate(component: ComponentJson, field: string): Surroundings {
  const tokens = (component.special_tokens ?? {}) as Record<string, { ids: number[] }>;
  const before: number[] = [];
  const after: number[] = [];
  let into = before;
  for (const piece of (component.single ?? []) as { SpecialToken?: { id: string }; Sequence?: unknown }[]) {
    if (piece.Sequence !== undefined) into = after;
    else into.push(...(tokens[piece.SpecialToken?.id ?? ""]?.ids ?? []));
  }
  if (into === before) throw unsupported(`${field}.single`, "a template with the sequence in it", component.single);
  return { before, after };
}

/** How tokens become text. */
export interface Decoder {
  /** Tokens are in GPT-2's byte alphabet. */
  readonly byteLevel: boolean;
  /** The text a token stands for (not byte-level). */
  readonly textOf: (token: string) => string;
  /** Tokens such as <0x0A> stand for a byte. */
  readonly byteFallback: boolean;
  /** Spaces to drop at the beginning of the text. */
  readonly stripStart: number;
}

/** `decoder`. */
export function readDecoder(component: ComponentJson | null | undefined): Decoder {
  if (component == null) throw unsupported("decoder", "given", component);
  if (component.type === "ByteLevel") return { byteLevel: true, textOf: (token) => token, byteFallback: false, stripStart: 0 };
  const steps = component.type === "Sequence" ? parts(component, "decoders") : [component];
  if (steps.length === 1 && steps[0]?.type === "ByteLevel") return readDecoder(steps[0]);
  let decoder: Decoder = { byteLevel: false, textOf: (token) => token, byteFallback: false, stripStart: 0 };
  steps.forEach((step, i) => {
    const field = component.type === "Sequence" ? `decoder.decoders[${i}]` : "decoder";
    decoder = addDecoderStep(decoder, step, field);
  });
  return decoder;
}

function addDecoderStep(decoder: Decoder, step: ComponentJson, field: string): Decoder {
  const { textOf } = decoder;
  switch (step.type) {
    case "Replace": {
      const replace = readReplace(step, field);
      return { ...decoder, textOf: (token) => replace(textOf(token)) };
    }
    case "Metaspace": {
      const prepends = step.prepend_scheme !== undefined ? step.prepend_scheme !== "never" : step.add_prefix_space !== false;
      return { ...decoder, textOf: (token) => textOf(token).replaceAll("\u2581", " "), stripStart: prepends ? 1 : 0 };
    }
    case "ByteFallback":
      return { ...decoder, byteFallback: true };
    case "Fuse":
      return decoder;
    case "Strip":
      if (step.content !== " " || (step.stop ?? 0) !== 0) throw unsupported(field, "a Strip of spaces at the start", step);
      return { ...decoder, stripStart: Number(step.start ?? 0) };
    default:
      throw unsupported(`${field}.type`, "ByteLevel, Replace, Metaspace, ByteFallback, Fuse or Strip", step.type);
  }
}
