/** Classes of characters in Oniguruma's syntax as classes of JavaScript's `v` syntax. */

/** \d, \h, \s, \w and their opposites. */
const shorthands: Record<string, string> = {
  d: "\\p{Nd}",
  h: "0-9a-fA-F",
  s: "\\p{White_Space}",
  w: "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}",
};

/** Numbers of Latin 1, which Oniguruma's \w has outside of brackets only. */
const FURTHER_WORD = "\\u{b2}\\u{b3}\\u{b9}\\u{bc}-\\u{be}";

/** Class of the escape \`letter`. */
export function shorthandClass(letter: string, isInBrackets: boolean): string {
  const small = letter.toLowerCase();
  const further = small === "w" && !isInBrackets ? FURTHER_WORD : "";
  return `[${letter === small ? "" : "^"}${shorthands[small]}${further}]`;
}

/** Names that are not JavaScript's, in lower case without spaces, hyphens and underscores. */
const names: Record<string, string> = {
  alnum: "\\p{Alphabetic}\\p{Nd}",
  alpha: "\\p{Alphabetic}",
  any: "\\u{0}-\\u{10ffff}",
  ascii: "\\u{0}-\\u{7f}",
  cntrl: "\\p{Cc}",
  digit: "\\p{Nd}",
  lower: "\\p{Lowercase}",
  punct: "\\p{P}",
  space: "\\p{White_Space}",
  upper: "\\p{Uppercase}",
  word: "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}",
  xdigit: "0-9a-fA-F",
};

/** Classes that ignoring case would make larger. */
const CASED = /^(?:Lu|Ll|Lt|Uppercase.*|Lowercase.*|Titlecase.*|lower|upper)$/i;

/** Class of [:name:], which for punctuation is not that of \p{name}. */
export function posixClass(name: string, isNegated: boolean, ignoreCase: boolean): string {
  return name === "punct" ? `[${isNegated ? "^" : ""}\\p{P}\\p{S}]` : propertyClass(name, isNegated, ignoreCase);
}

/** Class of \p{name}. Throws an Error for a name that is not known. */
export function propertyClass(name: string, isNegated: boolean, ignoreCase: boolean): string {
  if (ignoreCase && CASED.test(name)) throw new Error(`not \\p{${name}} where case is ignored`);
  const own = names[name.toLowerCase().replace(/[\s_-]/g, "")];
  const body =
    own ??
    [`\\p{${name}}`, `\\p{Script=${name}}`, `\\p{Script=${name.charAt(0).toUpperCase()}${name.slice(1).toLowerCase()}}`].find(isKnown);
  if (body === undefined) throw new Error(`not \\p{${name}}`);
  return `[${isNegated ? "^" : ""}${body}]`;
}

function isKnown(property: string): boolean {
  try {
    new RegExp(property, "v");
    return true;
  } catch {
    return false;
  }
}

/** ASCII letters that letters beyond ASCII fold to: the long s and the Kelvin sign. */
const furtherCases: Record<string, string> = { s: "\\u{17f}", k: "\\u{212a}" };

/** A character in any case: a class, or without `asClass` the inside of one. Throws an Error beyond ASCII, where cases are many. */
export function foldedLiteral(code: number, asClass = true): string {
  const character = String.fromCodePoint(code);
  const [lower, upper] = [character.toLowerCase(), character.toUpperCase()];
  if (code > 0x7f && (lower !== character || upper !== character)) throw new Error(`not "${character}" where case is ignored`);
  const members = lower === upper ? `\\u{${code.toString(16)}}` : `${lower}${upper}${furtherCases[lower] ?? ""}`;
  return asClass ? `[${members}]` : members;
}
