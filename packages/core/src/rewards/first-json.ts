/** Finding the JSON value in a completion that may also talk. */
import { fencedBlocks } from "./fenced-code";

/** How deep a value may nest, and how many brackets are tried: they bound the work on hostile text. */
const MAX_DEPTH = 100;
const MAX_STARTS = 200;

/** A parsed value; a box, because null is JSON too. */
export interface FoundJson {
  readonly value: unknown;
}

/**
 * The first JSON value of a text: the whole text where that is JSON, else the first object or array that parses, in a block of code
 * marked `json` if there is one. Undefined where there is none. Values nested deeper than 100 levels are passed over.
 */
export function firstJson(text: string): FoundJson | undefined {
  const block = fencedBlocks(text).find(({ language }) => language === "json");
  return parse(text) ?? (block && firstBracketed(block.code)) ?? firstBracketed(text);
}

function firstBracketed(text: string): FoundJson | undefined {
  const bracket = /[{[]/g;
  for (let starts = 0; starts < MAX_STARTS; starts++) {
    const start = bracket.exec(text)?.index;
    if (start === undefined) return undefined;
    const end = endOfBracket(text, start);
    const found = end === undefined ? undefined : parse(text.slice(start, end));
    if (found) return found;
  }
  return undefined;
}

/** Just past the bracket that closes the one at `start`, strings skipped; undefined where it is not closed or too deep. */
function endOfBracket(text: string, start: number): number | undefined {
  let depth = 0;
  let inString = false;
  for (let i = start; i < text.length; i++) {
    const character = text[i] as string;
    if (inString) {
      if (character === "\\") i++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === "{" || character === "[") {
      if (++depth > MAX_DEPTH) return undefined;
    } else if ((character === "}" || character === "]") && --depth === 0) return i + 1;
  }
  return undefined;
}

function parse(text: string): FoundJson | undefined {
  const trimmed = text.trim();
  if (/^[{[]/.test(trimmed) && endOfBracket(trimmed, 0) !== trimmed.length) return undefined;
  try {
    return { value: JSON.parse(trimmed) };
  } catch {
    return undefined;
  }
}
