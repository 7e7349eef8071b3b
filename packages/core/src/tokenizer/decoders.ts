/** `decoder` of tokenizer.json: how tokens become text (Hugging Face tokenizers 0.23). */
import { utf8Decoder } from "@trimtab/kernels";
import { bytesOfToken, utf8 } from "./byte-alphabet";
import { type JsonField, type Readers, readComponent } from "./json-field";
import { METASPACE, readMetaspaceFields } from "./metaspace";
import { readPattern } from "./patterns";

/** Text as the bytes of one token after another, which needs no strings of tokens. */
export interface BytesDecoder {
  /** Tokens are in GPT-2's byte alphabet. */
  readonly byteLevel: boolean;
  /** <0x00> ... <0xFF> are bytes. */
  readonly byteFallback: boolean;
  /** U+2581 is a space. */
  readonly spaces: boolean;
  /** Spaces that go at the beginning. */
  readonly stripStart: number;
}

/** What the decoder comes to. */
export interface Decoder {
  decode(tokens: readonly string[]): string;
  /** The same as bytes, where that is so for well-formed text. */
  readonly bytes: BytesDecoder | undefined;
  /** Somewhere it reads GPT-2's byte alphabet. */
  readonly byteLevel: boolean;
}

/** Tokens to the texts that are put together, as many or fewer. */
type Step = (tokens: readonly string[]) => readonly string[];

const each =
  (change: (token: string, index: number, last: number) => string): Step =>
  (tokens) =>
    tokens.map((token, i) => change(token, i, tokens.length - 1));

/** The tidying of spaces before punctuation and contractions. */
function cleanUp(text: string): string {
  const pairs = [" .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m", " do not", " don't", " 's", "'s"];
  pairs.push(" 've", "'ve", " 're", "'re");
  let result = text;
  for (let i = 0; i < pairs.length; i += 2) result = result.replaceAll(pairs[i]!, pairs[i + 1]!);
  return result;
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/** The byte that a token such as <0x0A> stands for. */
export function byteOfToken(token: string): number | undefined {
  const match = BYTE_TOKEN.exec(token);
  return match === null ? undefined : Number.parseInt(match[1]!, 16);
}

/** Runs of byte tokens become their text, or U+FFFD for each byte of a run that is not well-formed. */
const byteFallback: Step = (tokens) => {
  const result: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length === 0) return;
    const text = utf8Decoder().decode(Uint8Array.from(bytes));
    const isWellFormed = utf8(text).every((byte, i) => byte === bytes[i]);
    result.push(...(isWellFormed ? [text] : bytes.map(() => "\ufffd")));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = byteOfToken(token);
    if (byte !== undefined) {
      bytes.push(byte);
      continue;
    }
    flush();
    result.push(token);
  }
  flush();
  return result;
};

const byteLevel: Step = (tokens) => {
  const pieces = tokens.map((token) => bytesOfToken(token) ?? utf8(token));
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return [utf8Decoder().decode(bytes)];
};

const readers: Readers<Step> = {
  ByteLevel: () => byteLevel,
  ByteFallback: () => byteFallback,
  Fuse: () => (tokens) => [tokens.join("")],
  Replace: (component) => {
    const [expression, content] = [readPattern(component.get("pattern")), component.get("content").string()];
    return each((token) => token.replace(expression, () => content));
  },
  Strip: (component) => {
    const { content, start, stop } = readStrip(component);
    return each((token) => {
      const characters = Array.from(token);
      let from = 0;
      while (from < Math.min(start, characters.length) && characters[from] === content) from += 1;
      let to = characters.length;
      while (to > Math.max(0, characters.length - stop) && characters[to - 1] === content) to -= 1;
      return characters.slice(from, Math.max(from, to)).join("");
    });
  },
  Metaspace: (component) => {
    const { replacement, scheme } = readMetaspaceFields(component);
    return each((token, index) => token.replaceAll(replacement, index === 0 && scheme !== "never" ? "" : " "));
  },
  WordPiece: (component) => {
    const [prefix, tidies] = [component.get("prefix").string("##"), component.get("cleanup").boolean(true)];
    const join = (token: string) => (token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`);
    return each((token, index) => {
      const joined = index === 0 ? token : join(token);
      return tidies ? cleanUp(joined) : joined;
    });
  },
  BPEDecoder: (component) => {
    const suffix = component.get("suffix").string("</w>");
    return each((token, index, last) => (suffix === "" ? token : token.replaceAll(suffix, index === last ? "" : " ")));
  },
  CTC: (component) => {
    const [padding, delimiter] = [component.get("pad_token").string("<pad>"), component.get("word_delimiter_token").string("|")];
    const tidies = component.get("cleanup").boolean(true);
    return (tokens) =>
      tokens
        .filter((token, i) => token !== tokens[i - 1])
        .map((token) => {
          const kept = token.replaceAll(padding, "");
          return tidies ? cleanUp(kept).replaceAll(delimiter, " ") : kept;
        })
        .filter((token) => token !== "");
  },
  Sequence: (component) => {
    const steps = component
      .get("decoders")
      .items()
      .map((step) => readComponent(step, readers));
    return (tokens) => steps.reduce((result, step) => step(result), tokens);
  },
};

function readStrip(component: JsonField): { content: string; start: number; stop: number } {
  const content = component.get("content").string(" ");
  if (Array.from(content).length !== 1) throw component.get("content").must("one character");
  return { content, start: component.get("start").integer(0, 0), stop: component.get("stop").integer(0, 0) };
}

/** The components of a sequence, and of sequences in it. */
function leaves(component: JsonField): JsonField[] {
  return component.get("type").value === "Sequence" ? component.get("decoders").items().flatMap(leaves) : [component];
}

/** Absent: tokens with spaces between. */
export function readDecoder(component: JsonField): Decoder {
  if (component.isAbsent) return { decode: (tokens) => tokens.join(" "), bytes: undefined, byteLevel: false };
  const step = readComponent(component, readers);
  const parts = leaves(component);
  return {
    decode: (tokens) => step(tokens).join(""),
    bytes: asBytes(parts),
    byteLevel: parts.some((part) => part.get("type").value === "ByteLevel"),
  };
}

/** Byte level alone, or SentencePiece's: U+2581 to spaces, byte tokens, all put together, spaces stripped at the start, in this order. */
function asBytes(parts: readonly JsonField[]): BytesDecoder | undefined {
  const types = parts.map((part) => part.get("type").value);
  if (types.join() === "ByteLevel") return { byteLevel: true, byteFallback: false, spaces: false, stripStart: 0 };
  if (!/^(?:Replace)?,?(?:ByteFallback)?,?Fuse(?:,Strip)?$/.test(types.join())) return undefined;
  const replace = parts.find((part) => part.get("type").value === "Replace");
  if (replace && (replace.get("pattern").get("String").value !== METASPACE || replace.get("content").value !== " ")) return undefined;
  const last = parts.at(-1)!;
  const strip = last.get("type").value === "Strip" ? readStrip(last) : { content: " ", start: 0, stop: 0 };
  if (strip.content !== " " || strip.stop !== 0) return undefined;
  return { byteLevel: false, byteFallback: types.includes("ByteFallback"), spaces: replace !== undefined, stripStart: strip.start };
}
