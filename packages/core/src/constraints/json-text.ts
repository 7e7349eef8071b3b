/** The pieces of JSON as languages: literals, strings, numbers, and values of any kind. Between tokens there is at most one space, after `,` and `:`. */
import { difference, type Range, utf8Character } from "./code-points";
import type { Language, Languages } from "./language";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
declare const TextEncoder: new () => { encode(text: string): Uint8Array };

const CONTROLS: Range = [0, 0x1f];
const SHORT_ESCAPES: Readonly<Record<number, string>> = { 8: "b", 9: "t", 10: "n", 12: "f", 13: "r" };

/** A whole number has at most this many digits: all of them are exact. */
export const INTEGER_DIGITS = 15;

export class JsonText {
  readonly languages: Languages;
  readonly comma: Language;
  readonly colon: Language;
  /** Any value; objects and arrays as deep as they like. */
  readonly value: Language;
  readonly string: Language;
  readonly integer: Language;
  readonly number: Language;

  constructor(languages: Languages) {
    this.languages = languages;
    const space = languages.optional(this.text(" "));
    this.comma = languages.sequence(this.text(","), space);
    this.colon = languages.sequence(this.text(":"), space);
    this.string = this.stringOf(this.characters(0, Number.POSITIVE_INFINITY));
    const sign = languages.optional(this.text("-"));
    const whole = this.digits(1, INTEGER_DIGITS);
    this.integer = languages.sequence(sign, whole);
    const fraction = languages.sequence(this.text("."), languages.repeat(this.digit(), 1, INTEGER_DIGITS));
    const exponent = languages.sequence(
      languages.choice(this.text("e"), this.text("E")),
      languages.optional(languages.choice(this.text("+"), this.text("-"))),
      languages.repeat(this.digit(), 1, 2),
    );
    this.number = languages.sequence(sign, whole, languages.optional(fraction), languages.optional(exponent));
    const any = languages.newRule();
    this.value = any.language;
    const member = languages.sequence(this.string, this.colon, any.language);
    any.define(
      languages.choice(
        this.string,
        this.number,
        this.literal(true),
        this.literal(false),
        this.literal(null),
        languages.sequence(this.text("{"), this.list(member, 0, Number.POSITIVE_INFINITY), this.text("}")),
        languages.sequence(this.text("["), this.list(any.language, 0, Number.POSITIVE_INFINITY), this.text("]")),
      ),
    );
  }

  text(text: string): Language {
    return this.languages.literal(utf8(text));
  }

  /** A value as JSON.stringify writes it. */
  literal(value: unknown): Language {
    return this.text(JSON.stringify(value));
  }

  /** `min` to `max` items with commas between. */
  list(item: Language, min: number, max: number): Language {
    const { languages } = this;
    if (max === 0) return languages.end;
    const some = languages.sequence(item, languages.repeat(languages.sequence(this.comma, item), Math.max(0, min - 1), max - 1));
    return min === 0 ? languages.optional(some) : some;
  }

  /** A string with this inside its quotes. */
  stringOf(inside: Language): Language {
    return this.languages.sequence(this.text('"'), inside, this.text('"'));
  }

  /** `min` to `max` characters inside a string, each as it is or escaped. */
  characters(min: number, max: number): Language {
    const { languages } = this;
    const hex = languages.choice(languages.range(0x30, 0x39), languages.range(0x41, 0x46), languages.range(0x61, 0x66));
    const d = languages.choice(this.text("d"), this.text("D"));
    // \ud800 to \udfff are halves of characters.
    const first = languages.choice(languages.range(0x30, 0x39), ...[..."abcefABCEF"].map((digit) => this.text(digit)));
    const unit = languages.choice(languages.sequence(first, hex, hex, hex), languages.sequence(d, languages.range(0x30, 0x37), hex, hex));
    const escaped = languages.choice(...[...'"\\/bfnrt'].map((letter) => this.text(letter)), languages.sequence(this.text("u"), unit));
    const plain = this.plain([[0, 0x10ffff]]);
    return languages.repeat(languages.choice(plain, languages.sequence(this.text("\\"), escaped)), min, max);
  }

  /** One character of the set as it is, where it can be. */
  plain(ranges: readonly Range[]): Language {
    return utf8Character(this.languages, difference(ranges, [CONTROLS, [0x22, 0x22], [0x5c, 0x5c]]));
  }

  /** One character of the set, escaped where it has to be. */
  character(ranges: readonly Range[]): Language {
    const escaped: Language[] = [];
    for (const code of [...Array(CONTROLS[1] + 1).keys(), 0x22, 0x5c]) {
      if (!ranges.some(([lo, hi]) => lo <= code && code <= hi)) continue;
      const short = code > CONTROLS[1] ? String.fromCharCode(code) : SHORT_ESCAPES[code];
      escaped.push(this.text(short === undefined ? `\\u${code.toString(16).padStart(4, "0")}` : `\\${short}`));
    }
    return this.languages.choice(this.plain(ranges), ...escaped);
  }

  digit(): Language {
    return this.languages.range(0x30, 0x39);
  }

  /** A whole number of at least 0 with `least` to `most` digits, without leading zeros. */
  digits(least: number, most: number): Language {
    const { languages } = this;
    const first = languages.range(0x31, 0x39);
    const positive = languages.sequence(first, languages.repeat(this.digit(), least - 1, most - 1));
    return least === 1 ? languages.choice(this.text("0"), positive) : positive;
  }

  /** Whole numbers from `lo` to `hi`, both included. */
  integers(lo: number, hi: number): Language {
    if (lo > hi) return this.languages.nothing;
    const negative = lo < 0 ? this.languages.sequence(this.text("-"), this.#between(Math.max(1, -hi), -lo)) : this.languages.nothing;
    return this.languages.choice(negative, hi >= 0 ? this.#between(Math.max(0, lo), hi) : this.languages.nothing);
  }

  /** Numbers between two whole numbers; `isOpen` leaves the ends out. Fractions end with a digit that is not 0, and have no more than six. */
  numbers(lo: number, hi: number, isOpen: { readonly lo: boolean; readonly hi: boolean }): Language {
    const { languages } = this;
    const fraction = languages.sequence(this.text("."), languages.repeat(this.digit(), 0, 5), languages.range(0x31, 0x39));
    const above = hi > 0 ? languages.sequence(this.#between(Math.max(0, lo), hi - 1), fraction) : languages.nothing;
    const below = lo < 0 ? languages.sequence(this.text("-"), this.#between(Math.max(0, -hi), -lo - 1), fraction) : languages.nothing;
    return languages.choice(this.integers(isOpen.lo ? lo + 1 : lo, isOpen.hi ? hi - 1 : hi), above, below);
  }

  /** 0 <= lo, hi; nothing where lo > hi. */
  #between(lo: number, hi: number): Language {
    const { languages } = this;
    if (lo > hi) return languages.nothing;
    const [first, last] = [String(lo), String(hi)];
    if (first.length === last.length) return this.#sameLength(first, last);
    const middle = [];
    for (let length = first.length + 1; length < last.length; length++) middle.push(this.digits(length, length));
    return languages.choice(
      this.#sameLength(first, "9".repeat(first.length)),
      ...middle,
      this.#sameLength(`1${"0".repeat(last.length - 1)}`, last),
    );
  }

  /** Digit strings from `lo` to `hi`, which are as long as each other. */
  #sameLength(lo: string, hi: string): Language {
    const { languages } = this;
    if (lo === "") return languages.end;
    if (/^0+$/.test(lo) && /^9+$/.test(hi)) return languages.repeat(this.digit(), lo.length, lo.length);
    const [a, b] = [lo.charCodeAt(0), hi.charCodeAt(0)];
    const rest = lo.length - 1;
    if (a === b) return languages.sequence(languages.range(a, a), this.#sameLength(lo.slice(1), hi.slice(1)));
    return languages.choice(
      languages.sequence(languages.range(a, a), this.#sameLength(lo.slice(1), "9".repeat(rest))),
      a + 1 < b ? languages.sequence(languages.range(a + 1, b - 1), languages.repeat(this.digit(), rest, rest)) : languages.nothing,
      languages.sequence(languages.range(b, b), this.#sameLength("0".repeat(rest), hi.slice(1))),
    );
  }
}
