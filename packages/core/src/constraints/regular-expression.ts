/** JavaScript's regular expressions (with the flag u), as languages. The parser is ESLint's. */
import { type AST, RegExpParser } from "@eslint-community/regexpp";
import { ConstraintError } from "../errors";
import { complement, type Range, union } from "./code-points";
import type { Language, Languages } from "./language";

export interface ExpressionOptions {
  /** One character of a set. */
  readonly character: (ranges: readonly Range[]) => Language;
  /** The expression may be found anywhere in the text, as `pattern` of JSON Schema; else it is the whole text. */
  readonly isSearch: boolean;
}

/**
 * The texts that match `source`. ^ and $ may stand at the ends of the expression and of its alternatives. Throws ConstraintError for what is
 * malformed, and for assertions and backreferences, which are not regular or not kept here.
 */
export function expressionLanguage(languages: Languages, source: string, { character, isSearch }: ExpressionOptions): Language {
  let pattern: AST.Pattern;
  try {
    pattern = new RegExpParser({ ecmaVersion: 2024 }).parsePattern(source, 0, source.length, { unicode: true, unicodeSets: false });
  } catch (cause) {
    throw new ConstraintError(`regex: it must be a regular expression, got ${(cause as Error).message}. Correct it.`, "syntax", { cause });
  }
  const anything = languages.repeat(character([[0, 0x10ffff]]), 0, Number.POSITIVE_INFINITY);
  const element = (node: AST.Element | AST.QuantifiableElement): Language => {
    switch (node.type) {
      case "Character":
        return character([[node.value, node.value]]);
      case "CharacterSet":
      case "CharacterClass":
        return character(rangesOf(node));
      case "Group":
        if (node.modifiers) throw unsupported("modifiers", node);
        return languages.choice(...node.alternatives.map(({ elements }) => languages.sequence(...elements.map(element))));
      case "CapturingGroup":
        return languages.choice(...node.alternatives.map(({ elements }) => languages.sequence(...elements.map(element))));
      case "Quantifier":
        return languages.repeat(element(node.element), node.min, node.max);
      case "Assertion":
        throw unsupported(node.kind === "start" || node.kind === "end" ? `${node.raw} inside the expression` : node.kind, node);
      case "Backreference":
        throw unsupported("backreferences", node);
      default:
        throw unsupported(node.type, node);
    }
  };
  const alternatives = pattern.alternatives.map(({ elements }) => {
    const isAnchor = (node: AST.Element | undefined, kind: "start" | "end") => node?.type === "Assertion" && node.kind === kind;
    const begins = isAnchor(elements[0], "start");
    const rest = begins ? elements.slice(1) : elements;
    const ends = isAnchor(rest.at(-1), "end");
    const body = languages.sequence(...(ends ? rest.slice(0, -1) : rest).map(element));
    return languages.sequence(isSearch && !begins ? anything : languages.end, body, isSearch && !ends ? anything : languages.end);
  });
  return languages.choice(...alternatives);
}

function unsupported(feature: string, node: AST.Node): ConstraintError {
  return new ConstraintError(`regex: ${feature} must not be used, got ${node.raw}. Rewrite the expression without.`, feature);
}

const DIGITS: readonly Range[] = [[0x30, 0x39]];
const WORD: readonly Range[] = [...DIGITS, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
const LINE_ENDS: readonly Range[] = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
/** ECMA-262's WhiteSpace and LineTerminator. */
const SPACE: readonly Range[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  ...LINE_ENDS,
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];

function rangesOf(node: AST.CharacterSet | AST.CharacterClass | AST.CharacterClassElement | AST.UnicodeSetsCharacterClassElement): Range[] {
  switch (node.type) {
    case "Character":
      return [[node.value, node.value]];
    case "CharacterClassRange":
      return [[node.min.value, node.max.value]];
    case "CharacterClass": {
      const ranges = node.elements.flatMap(rangesOf);
      return node.negate ? complement(ranges) : union(ranges);
    }
    case "CharacterSet": {
      if (node.kind === "any") return complement(LINE_ENDS);
      const ranges = node.kind === "digit" ? DIGITS : node.kind === "space" ? SPACE : node.kind === "word" ? WORD : propertyRanges(node);
      return node.negate ? complement(ranges) : union(ranges);
    }
    default:
      throw unsupported(node.type, node);
  }
}

const properties = new Map<string, readonly Range[]>();

/** Of a Unicode property, asked of the platform's own expressions, character by character; once. */
function propertyRanges({ raw }: AST.CharacterSet): readonly Range[] {
  const property = raw.replace(/^\\P/, "\\p");
  const known = properties.get(property);
  if (known) return known;
  const expression = new RegExp(`^${property}$`, "u");
  const ranges: [number, number][] = [];
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
    if (!expression.test(String.fromCodePoint(codePoint))) continue;
    const last = ranges.at(-1);
    if (last?.[1] === codePoint - 1) last[1] = codePoint;
    else ranges.push([codePoint, codePoint]);
  }
  properties.set(property, ranges);
  return ranges;
}
