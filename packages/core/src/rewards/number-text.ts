/** Numbers as people write them in answers: signs, currencies, thousands separators, decimals, fractions and mixed numbers. */

const WHOLE = String.raw`(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)`;
const DECIMAL = String.raw`(?:${WHOLE}(?:\.\d+)?|\.\d+)`;
const CURRENCY = "[$€£¥₹]";

/**
 * Groups: sign before and after a currency, whole part of a mixed number, number or numerator, exponent, denominator. A minus right
 * after a letter, a digit or a closing bracket subtracts; right before a number, anywhere else, it is its sign.
 */
const NUMBER = new RegExp(
  String.raw`(?<![\p{L}_\d])(?<!\d\.)((?:(?<![)\]}])[-+\u2212])?)(?:\\?${CURRENCY}\s?([-\u2212]?))?(?:(${WHOLE})\s+(?=\d+\s?/\s?\d))?(${DECIMAL})([eE][-+]?\d+)?(?:\s?/\s?(${DECIMAL}))?`,
  "gu",
);

/** Every number of a text, in order. What divides by zero is left out. */
export function numbersIn(text: string): number[] {
  return [...text.matchAll(NUMBER)].map(readMatch).filter(Number.isFinite);
}

/** The first number of a text; undefined where there is none. */
export function firstNumber(text: string): number | undefined {
  return numbersIn(text)[0];
}

/** The last number of a text; undefined where there is none. */
export function lastNumber(text: string): number | undefined {
  return numbersIn(text).at(-1);
}

/** A number, or the first one that a text holds; undefined for anything else. */
export function readNumber(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  return typeof value === "string" ? firstNumber(value) : undefined;
}

/** |a - b| ≤ max(absolute, relative · |b|) */
export function isClose(a: number, b: number, tolerance: { readonly absolute: number; readonly relative: number }): boolean {
  return Math.abs(a - b) <= Math.max(tolerance.absolute, tolerance.relative * Math.abs(b));
}

function readMatch([, sign = "", innerSign = "", mixed, numerator = "", exponent = "", denominator]: RegExpMatchArray): number {
  const plain = (digits: string) => Number(digits.replaceAll(",", ""));
  const fraction = plain(numerator + exponent) / (denominator === undefined ? 1 : plain(denominator));
  const magnitude = (mixed === undefined ? 0 : plain(mixed)) + fraction;
  const isNegative = [sign, innerSign].filter((mark) => mark !== "" && mark !== "+").length === 1;
  return isNegative ? -magnitude : magnitude;
}
