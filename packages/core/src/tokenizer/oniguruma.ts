/** Expressions as tokenizer.json has them (Oniguruma, Ruby's syntax) to JavaScript's with the flag v. */
import { foldedLiteral, posixClass, propertyClass, shorthandClass } from "./oniguruma-classes";

/** What the characters of a class are when written: a class of JavaScript's `v` syntax, brackets included. */
type ClassSource = string;

const literal = (code: number) => `\\u{${code.toString(16)}}`;

/** Either side of a border of words. */
const WORD = shorthandClass("w", false);

/**
 * The expression in JavaScript's syntax, for the flag v. Throws an Error that says which part cannot be translated: backreferences, conditions,
 * calls, \G, \K, \R, \X, absence operators, comments and extended syntax.
 */
export function translateExpression(source: string): string {
  return new Translator(source).translate();
}

class Translator {
  readonly #characters: readonly string[];
  #at = 0;
  #atomics = 0;

  constructor(source: string) {
    this.#characters = Array.from(source);
  }

  translate(): string {
    const result = this.#alternatives(false);
    if (this.#at < this.#characters.length) throw this.#cannot(")");
    return result;
  }

  /** Up to a closing parenthesis or the end. */
  #alternatives(ignoreCase: boolean): string {
    let result = "";
    while (this.#at < this.#characters.length && this.#peek() !== ")") {
      if (this.#take("|")) result += "|";
      else if (this.#isOption()) {
        // An option without a body holds to the end of the group, further alternatives included.
        const inner = this.#option(ignoreCase);
        result += `(?:${this.#alternatives(inner)})`;
      } else result += this.#quantified(this.#atom(ignoreCase));
    }
    return result;
  }

  #quantified(atom: string): string {
    let result = atom;
    for (let first = true; ; first = false) {
      const quantifier = this.#quantifier();
      if (quantifier === undefined) return result;
      // A second quantifier repeats the repetition.
      if (!first) result = `(?:${result})`;
      const isInterval = quantifier.startsWith("{");
      if (this.#take("?")) result = `${result}${quantifier}?`;
      else if (!isInterval && this.#take("+")) result = this.#atomic(`${result}${quantifier}`);
      else result = `${result}${quantifier}`;
    }
  }

  #quantifier(): string | undefined {
    const next = this.#peek();
    if (next === "*" || next === "+" || next === "?") {
      this.#at += 1;
      return next;
    }
    if (next !== "{") return undefined;
    const interval = /^\{(\d*)(,?)(\d*)\}/.exec(this.#characters.slice(this.#at, this.#at + 24).join(""));
    if (interval === null || (interval[1] === "" && interval[3] === "")) return undefined;
    this.#at += interval[0].length;
    return `{${interval[1] || "0"}${interval[2]}${interval[3]}}`;
  }

  /** What matches once does not give back: a lookahead that captures, and the capture. */
  #atomic(body: string): string {
    const name = `atomic${this.#atomics++}`;
    return `(?:(?=(?<${name}>${body}))\\k<${name}>)`;
  }

  #atom(ignoreCase: boolean): string {
    const next = this.#next();
    switch (next) {
      case "(":
        return this.#group(ignoreCase);
      case "[":
        return this.#class(ignoreCase);
      case "\\":
        return this.#escape(ignoreCase);
      case ".":
        return "[^\\n]";
      case "^":
        return "(?<![^\\n])";
      case "$":
        return "(?![^\\n])";
      case "*":
      case "+":
      case "?":
        throw this.#cannot(next);
      default:
        return this.#literal(next.codePointAt(0)!, ignoreCase);
    }
  }

  #literal(code: number, ignoreCase: boolean): string {
    return ignoreCase ? foldedLiteral(code) : literal(code);
  }

  /** (?i) and the like, with nothing of the group's own. */
  #isOption(): boolean {
    return /^\(\?[a-z]*-?[a-z]*\)/.test(this.#characters.slice(this.#at, this.#at + 12).join(""));
  }

  #option(ignoreCase: boolean): boolean {
    this.#at += 2;
    const inner = this.#options(ignoreCase, ")");
    return inner;
  }

  /** The letters of an option up to `end`: only i can be translated. */
  #options(ignoreCase: boolean, end: ")" | ":"): boolean {
    let inner = ignoreCase;
    let on = true;
    while (!this.#take(end)) {
      const letter = this.#next();
      if (letter === "-") on = false;
      else if (letter === "i") inner = on;
      else throw this.#cannot(`(?${letter}`);
    }
    return inner;
  }

  #group(ignoreCase: boolean): string {
    if (!this.#take("?")) return `(?:${this.#body(ignoreCase)})`;
    const next = this.#next();
    switch (next) {
      case ":":
        return `(?:${this.#body(ignoreCase)})`;
      case "=":
      case "!":
        return `(?${next}${this.#body(ignoreCase)})`;
      case ">":
        return this.#atomic(this.#body(ignoreCase));
      case "<": {
        const kind = this.#next();
        if (kind === "=" || kind === "!") return `(?<${kind}${this.#body(ignoreCase)})`;
        // A name without references to it says nothing.
        while (!this.#take(">")) this.#next();
        return `(?:${this.#body(ignoreCase)})`;
      }
      case "i":
      case "-": {
        this.#at -= 1;
        const inner = this.#options(ignoreCase, ":");
        return `(?:${this.#body(inner)})`;
      }
      default:
        throw this.#cannot(`(?${next}`);
    }
  }

  #body(ignoreCase: boolean): string {
    const result = this.#alternatives(ignoreCase);
    if (!this.#take(")")) throw new Error("a group is not closed");
    return result;
  }

  #escape(ignoreCase: boolean): string {
    const next = this.#next();
    switch (next) {
      case "A":
        return "(?<![^])";
      case "z":
        return "(?![^])";
      case "Z":
        return "(?=\\n?(?![^]))";
      case "b":
        return `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;
      case "B":
        return `(?:(?<=${WORD})(?=${WORD})|(?<!${WORD})(?!${WORD}))`;
    }
    const set = this.#escapedClass(next, ignoreCase, false);
    return set ?? this.#literal(this.#escapedCode(next), ignoreCase);
  }

  /** \d, \p{...} and the like after the backslash and `letter`; undefined where it is none. */
  #escapedClass(letter: string, ignoreCase: boolean, isInBrackets: boolean): ClassSource | undefined {
    if ("dDhHsSwW".includes(letter)) return shorthandClass(letter, isInBrackets);
    if (letter !== "p" && letter !== "P") return undefined;
    if (!this.#take("{")) throw this.#cannot(`\\${letter} without a name in braces`);
    let name = "";
    while (!this.#take("}")) name += this.#next();
    const isNegated = (letter === "P") !== name.startsWith("^");
    return propertyClass(name.replace(/^\^/, ""), isNegated, ignoreCase);
  }

  /** Code point of an escaped character after the backslash and `letter`. */
  #escapedCode(letter: string): number {
    const simple = { t: 9, n: 10, v: 11, f: 12, r: 13, a: 7, e: 27 }[letter];
    if (simple !== undefined) return simple;
    if (letter === "x" || letter === "u") {
      const rest = this.#characters.slice(this.#at, this.#at + 12).join("");
      const digits = (letter === "x" ? /^(?:\{([\da-fA-F]{1,8})\}|([\da-fA-F]{1,2}))/ : /^(?:([\da-fA-F]{4}))/).exec(rest);
      const code = Number.parseInt(digits?.[1] ?? digits?.[2] ?? "", 16);
      if (digits === null || code > 0x10ffff) throw this.#cannot(`\\${letter}${rest.slice(0, 8)}`);
      this.#at += digits[0].length;
      return code;
    }
    if (letter === "0" && !/\d/.test(this.#peek() ?? "")) return 0;
    if (/[\p{L}\p{N}]/u.test(letter)) throw this.#cannot(`\\${letter}`);
    return letter.codePointAt(0)!;
  }

  /** After "[": a class, with its intersections as nested classes. */
  #class(ignoreCase: boolean): ClassSource {
    const isNegated = this.#take("^");
    const operands: string[] = [];
    let members = "";
    let isFirst = true;
    while (!this.#take("]") || isFirst) {
      // A bracket that closes nothing stands for itself.
      if (isFirst && this.#characters[this.#at - 1] === "]") {
        members += literal(0x5d);
        isFirst = false;
        continue;
      }
      isFirst = false;
      if (this.#startsWith("&&")) {
        this.#at += 2;
        operands.push(`[${members}]`);
        members = "";
        continue;
      }
      members += this.#member(ignoreCase);
    }
    operands.push(`[${members}]`);
    const body = operands.length === 1 ? members : operands.join("&&");
    return `[${isNegated ? "^" : ""}${body}]`;
  }

  #member(ignoreCase: boolean): string {
    if (this.#startsWith("[:")) return this.#posix(ignoreCase);
    if (this.#take("[")) return this.#class(ignoreCase);
    const first = this.#classCharacter(ignoreCase);
    if (typeof first === "string") return first;
    // A hyphen at the end stands for itself.
    if (this.#peek() !== "-" || this.#characters[this.#at + 1] === "]" || this.#characters[this.#at + 1] === "[") {
      return ignoreCase ? foldedLiteral(first) : literal(first);
    }
    this.#at += 1;
    const last = this.#classCharacter(ignoreCase);
    if (typeof last === "string") return `${literal(first)}\\-${last}`;
    if (last < first) throw new Error(`a range ends before it begins: ${String.fromCodePoint(first)}-${String.fromCodePoint(last)}`);
    return ignoreCase ? foldedRange(first, last) : `${literal(first)}-${literal(last)}`;
  }

  /** A code point, or a class where the escape means one. */
  #classCharacter(ignoreCase: boolean): number | string {
    const next = this.#next();
    if (next !== "\\") return next.codePointAt(0)!;
    const letter = this.#next();
    if (letter === "b") return 8;
    return this.#escapedClass(letter, ignoreCase, true) ?? this.#escapedCode(letter);
  }

  #posix(ignoreCase: boolean): string {
    const match = /^\[:(\^?)([a-z]+):\]/.exec(this.#characters.slice(this.#at, this.#at + 14).join(""));
    if (match === null) throw this.#cannot("[:");
    this.#at += match[0].length;
    return posixClass(match[2]!, match[1] === "^", ignoreCase);
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #startsWith(text: string): boolean {
    return this.#characters.slice(this.#at, this.#at + text.length).join("") === text;
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at += 1;
    return true;
  }

  #next(): string {
    const next = this.#peek();
    if (next === undefined) throw new Error("it ends in the middle");
    this.#at += 1;
    return next;
  }

  #cannot(part: string): Error {
    return new Error(`not "${part}"`);
  }
}

function foldedRange(first: number, last: number): string {
  if (last > 0x7f) throw new Error("not a range beyond ASCII where case is ignored");
  let result = "";
  for (let code = first; code <= last; code++) result += foldedLiteral(code, false);
  return result;
}
