/** Cuts added tokens out of text: the leftmost, and of those that begin there the longest. */
import type { AddedTokenJson } from "./tokenizer-json";

/** A stretch of text, or the id of an added token found in it. */
export type Segment = { readonly text: string; readonly start: number } | { readonly id: number };

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
const isWord = (character: string | undefined) => character !== undefined && /[\p{L}\p{N}\p{M}_]/u.test(character);

/** Splits text at a fixed set of added tokens. */
export class AddedTokenSplitter {
  private readonly expression: RegExp | undefined;
  private readonly tokens: ReadonlyMap<string, AddedTokenJson>;

  /** `rewrite` is applied to each token's content, for tokens that are looked for in normalized text. */
  constructor(tokens: readonly AddedTokenJson[], rewrite: (text: string) => string = (text) => text) {
    const entries = tokens.map((token): [string, AddedTokenJson] => [rewrite(token.content), token]).filter(([content]) => content !== "");
    this.tokens = new Map(entries);
    const longestFirst = [...this.tokens.keys()].sort((a, b) => b.length - a.length);
    this.expression = longestFirst.length === 0 ? undefined : new RegExp(longestFirst.map(escaped).join("|"), "g");
  }

  /** The segments of `text` in order; `start` counts from `offset`. Without a match this is one segment. */
  split(text: string, offset = 0): Segment[] {
    if (this.expression === undefined) return [{ text, start: offset }];
    const segments: Segment[] = [];
    let from = 0;
    for (const match of text.matchAll(this.expression)) {
      const token = this.tokens.get(match[0])!;
      let start = match.index;
      let end = start + match[0].length;
      if (start < from || (token.single_word && (isWord(text[start - 1]) || isWord(text[end])))) continue;
      if (token.lstrip) while (start > from && /\s/.test(text[start - 1]!)) start -= 1;
      if (token.rstrip) while (end < text.length && /\s/.test(text[end]!)) end += 1;
      if (start > from) segments.push({ text: text.slice(from, start), start: offset + from });
      segments.push({ id: token.id });
      from = end;
    }
    if (from < text.length || segments.length === 0) segments.push({ text: text.slice(from), start: offset + from });
    return segments;
  }
}
