/** Added tokens: which there are, and cutting them out of text: the leftmost, and of those that begin there the longest. */
import type { JsonField } from "./json-field";

/** A token that is cut out of text before anything else. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Only where no word character touches it. */
  readonly singleWord: boolean;
  /** Takes the white space before it along. */
  readonly lstrip: boolean;
  /** Takes the white space after it along. */
  readonly rstrip: boolean;
  /** Looked for in normalized text. */
  readonly normalized: boolean;
  /** Left out by `skipSpecialTokens`. */
  readonly special: boolean;
}

function readToken(token: JsonField, id: number): AddedToken {
  const special = token.get("special").boolean(false);
  return {
    id,
    content: token.get("content").string(),
    singleWord: token.get("single_word").boolean(false),
    lstrip: token.get("lstrip").boolean(false),
    rstrip: token.get("rstrip").boolean(false),
    normalized: token.get("normalized").boolean(!special),
    special,
  };
}

/** Those of tokenizer.json, and those only tokenizer_config.json lists, as transformers adds them. */
export function readAddedTokens(tokens: JsonField, config: JsonField): AddedToken[] {
  const added = tokens.items(true).map((token) => readToken(token, token.get("id").integer(0)));
  const known = new Set(added.map(({ id }) => id));
  if (!config.isAbsent) {
    for (const key of Object.keys(config.object())) {
      const token = config.get(key);
      if (!/^\d{1,7}$/.test(key)) throw token.must("the token of an id");
      if (!known.has(Number(key))) added.push(readToken(token, Number(key)));
    }
  }
  return added;
}

/** A stretch of text, or the id of an added token found in it. */
export type Segment = { readonly text: string; readonly start: number } | { readonly id: number };

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

const WORD = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
const wordBefore = new RegExp(`${WORD}$`, "u");
const wordAfter = new RegExp(`${WORD}`, "uy");
const isSpace = (character: string) => /\p{White_Space}/u.test(character);

/** What all texts begin with. */
function commonBeginning(texts: readonly string[]): string {
  let beginning = texts[0] ?? "";
  for (const text of texts) while (!text.startsWith(beginning)) beginning = beginning.slice(0, -1);
  return beginning;
}

/** Splits text at a fixed set of added tokens. */
export class AddedTokenSplitter {
  readonly #expression: RegExp | undefined;
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  /** A text without it has no token. */
  readonly #beginning: string;

  /** `rewrite` is applied to each token's content, for tokens that are looked for in normalized text. */
  constructor(tokens: readonly AddedToken[], rewrite: (text: string) => string = (text) => text) {
    const byContent = new Map<string, AddedToken>();
    // Where two come to the same text, a special one counts, and the first.
    for (const token of [...tokens.filter(({ special }) => special), ...tokens.filter(({ special }) => !special)]) {
      const content = rewrite(token.content);
      if (content !== "" && !byContent.has(content)) byContent.set(content, token);
    }
    this.#tokens = byContent;
    const longestFirst = [...byContent.keys()].sort((a, b) => b.length - a.length);
    this.#expression = longestFirst.length === 0 ? undefined : new RegExp(longestFirst.map(escaped).join("|"), "g");
    this.#beginning = commonBeginning(longestFirst);
  }

  /** The segments of `text` in order; `start` counts from `offset`. Special tokens are ordinary text where `splitSpecial`. */
  split(text: string, splitSpecial: boolean, offset = 0): Segment[] {
    if (this.#expression === undefined || !text.includes(this.#beginning)) return [{ text, start: offset }];
    const segments: Segment[] = [];
    let from = 0;
    for (const match of text.matchAll(this.#expression)) {
      const token = this.#tokens.get(match[0])!;
      if (token.special && splitSpecial) continue;
      let start = match.index;
      let end = start + match[0].length;
      if (start < from || (token.singleWord && touchesWord(text, start, end))) continue;
      if (token.lstrip) while (start > from && isSpace(text[start - 1]!)) start -= 1;
      if (token.rstrip) while (end < text.length && isSpace(text[end]!)) end += 1;
      if (start > from) segments.push({ text: text.slice(from, start), start: offset + from });
      segments.push({ id: token.id });
      from = end;
    }
    if (from < text.length || segments.length === 0) segments.push({ text: text.slice(from), start: offset + from });
    return segments;
  }
}

function touchesWord(text: string, start: number, end: number): boolean {
  wordAfter.lastIndex = end;
  return wordAfter.test(text) || wordBefore.test(text.slice(Math.max(0, start - 2), start));
}
