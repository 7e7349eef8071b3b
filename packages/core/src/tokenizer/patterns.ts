/** Patterns of tokenizer.json as JavaScript expressions, and where they match. */
import type { JsonField } from "./json-field";
import { translateExpression } from "./oniguruma";

/** From and to in a text, and whether the pattern matched there. */
export type Match = readonly [from: number, to: number, isMatch: boolean];

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`);

/** `{ "String": ... }` or `{ "Regex": ... }`, with the flags g and v. */
export function readPattern(pattern: JsonField): RegExp {
  const regex = pattern.get("Regex");
  if (!regex.isAbsent) {
    try {
      return new RegExp(translateExpression(regex.string()), "gv");
    } catch (cause) {
      throw regex.must(`an expression that can be translated to JavaScript (${(cause as Error).message})`, { cause });
    }
  }
  const text = pattern.get("String");
  if (text.isAbsent) throw pattern.must("a String or a Regex");
  return new RegExp(escaped(text.string()), "gv");
}

/** What an expression matches and what is between, covering the text in order. */
export function matches(expression: RegExp, text: string): Match[] {
  if (text === "") return [[0, 0, false]];
  const found: Match[] = [];
  let from = 0;
  for (const match of text.matchAll(expression)) {
    const to = match.index + match[0].length;
    if (from < match.index) found.push([from, match.index, false]);
    found.push([match.index, to, true]);
    from = to;
  }
  if (from < text.length) found.push([from, text.length, false]);
  return found;
}
