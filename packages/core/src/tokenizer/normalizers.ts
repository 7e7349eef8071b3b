/** `normalizer` of tokenizer.json as a function of text (Hugging Face tokenizers 0.23). */
import { byteLevelText } from "./byte-alphabet";
import { type JsonField, type Readers, readComponent } from "./json-field";
import { readPattern } from "./patterns";
import { readPrecompiled } from "./precompiled";

/** Text to text, before words are cut: a segment between added tokens. */
export type Normalizer = (text: string) => string;

/** Unicode normalization; ASCII is normal in every form. */
const form =
  (name: "NFC" | "NFD" | "NFKC" | "NFKD"): Normalizer =>
  (text) =>
    /^[\0-\x7f]*$/.test(text) ? text : text.normalize(name);

/** Each character by itself: a final sigma is like any other. */
const lowercase: Normalizer = (text) => text.replaceAll("Σ", "σ").toLowerCase();

const readers: Readers<Normalizer> = {
  Sequence: (component) => {
    const steps = component.get("normalizers").items().map(readNormalizer);
    return (text) => steps.reduce((result, step) => step(result), text);
  },
  NFC: () => form("NFC"),
  NFD: () => form("NFD"),
  NFKC: () => form("NFKC"),
  NFKD: () => form("NFKD"),
  Lowercase: () => lowercase,
  Strip: (component) => {
    const [left, right] = [component.get("strip_left").boolean(true), component.get("strip_right").boolean(true)];
    const start = left ? /^\p{White_Space}+/u : /(?!)/;
    const end = right ? /(?<!\p{White_Space})\p{White_Space}+$/u : /(?!)/;
    return (text) => text.replace(start, "").replace(end, "");
  },
  StripAccents: () => (text) => text.replace(/\p{M}+/gu, ""),
  Replace: (component) => {
    const [expression, content] = [readPattern(component.get("pattern")), component.get("content").string()];
    return (text) => text.replace(expression, () => content);
  },
  Prepend: (component) => {
    const prefix = component.get("prepend").string();
    return (text) => (text === "" ? text : prefix + text);
  },
  ByteLevel: () => byteLevelText,
  Nmt: () => nmt,
  Precompiled: readPrecompiled,
  BertNormalizer: (component) => {
    const lower = component.get("lowercase").boolean(true);
    const steps: Normalizer[] = [];
    if (component.get("clean_text").boolean(true)) steps.push(cleanText);
    if (component.get("handle_chinese_chars").boolean(true)) steps.push(spaceChinese);
    if (component.get("strip_accents").boolean(lower)) steps.push((text) => form("NFD")(text).replace(/\p{Mn}+/gu, ""));
    if (lower) steps.push(lowercase);
    return (text) => steps.reduce((result, step) => step(result), text);
  },
};

/** Absent: text stays as it is. */
export function readNormalizer(component: JsonField): Normalizer {
  return component.isAbsent ? (text) => text : readComponent(component, readers);
}

/** Control characters go, and what stands for space becomes one (the rule of Google's neural machine translation). */
function nmt(text: string): string {
  return text
    .replace(/(?![\0\t\n\f\r\u0080-\u008e\u0090-\u009e])\p{Cc}/gu, "")
    .replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, " ");
}

/** Unassigned code points stay: that library's table of "other" characters leaves them out. */
function cleanText(text: string): string {
  return text.replace(/\ufffd|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, "").replace(/\p{White_Space}/gu, " ");
}

/** BERT's own ranges of ideographs; 2B820 ... 2B91F are left out there too. */
function spaceChinese(text: string): string {
  return text.replace(
    /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu,
    " $& ",
  );
}
