/** Arithmetic expressions, parsed by hand: what a model wrote is never run as code. */

/** An expression's value, and the numbers written in it from left to right. */
export interface ArithmeticResult {
  readonly value: number;
  readonly numbers: readonly number[];
}

/** No expression of a puzzle comes near these; they keep hostile text from costing time or stack. */
const MAX_LENGTH = 2000;
const MAX_DEPTH = 100;

const TOKEN = /\s*(?:(\d+(?:\.\d+)?)|([-+*/()\u00d7\u00f7\u2212]))/y;
const ASCII: Readonly<Record<string, string>> = { "\u00d7": "*", "\u00f7": "/", "\u2212": "-" };

/**
 * Evaluates numbers, + - * / (also × ÷ −), unary signs and parentheses with the usual precedence, in f64. Returns undefined for
 * anything else, for division by zero, and beyond 2000 characters or 100 levels.
 */
export function evaluateArithmetic(text: string): ArithmeticResult | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const tokens = tokenize(text);
  if (tokens === undefined) return undefined;
  const numbers: number[] = [];
  let at = 0;
  /** True, and past it, where the next token is one of these. */
  const accept = (...symbols: string[]): string | undefined => {
    const next = tokens[at];
    if (typeof next !== "string" || !symbols.includes(next)) return undefined;
    at++;
    return next;
  };

  // A malformed part is NaN, which every operation hands on.
  const sum = (depth: number): number => {
    let value = product(depth);
    for (let symbol = accept("+", "-"); symbol !== undefined; symbol = accept("+", "-")) {
      const right = product(depth);
      value = symbol === "+" ? value + right : value - right;
    }
    return value;
  };
  const product = (depth: number): number => {
    let value = factor(depth);
    for (let symbol = accept("*", "/"); symbol !== undefined; symbol = accept("*", "/")) {
      const right = factor(depth);
      value = symbol === "*" ? value * right : right === 0 ? Number.NaN : value / right;
    }
    return value;
  };
  const factor = (depth: number): number => {
    if (depth > MAX_DEPTH) return Number.NaN;
    if (accept("-")) return -factor(depth + 1);
    if (accept("+")) return factor(depth + 1);
    if (accept("(")) {
      const value = sum(depth + 1);
      return accept(")") ? value : Number.NaN;
    }
    const next = tokens[at];
    if (typeof next !== "number") return Number.NaN;
    at++;
    numbers.push(next);
    return next;
  };

  const value = sum(0);
  return at === tokens.length && Number.isFinite(value) ? { value, numbers } : undefined;
}

/** Numbers and symbols; undefined where a character is neither. */
function tokenize(text: string): (number | string)[] | undefined {
  const tokens: (number | string)[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const match = TOKEN.exec(text);
    if (match === null) return undefined;
    const symbol = match[2] as string;
    tokens.push(match[1] === undefined ? (ASCII[symbol] ?? symbol) : Number(match[1]));
  }
  return tokens;
}
