/** Walks over the bytes of JSON without making values of it. What is unusual is left to JSON.parse: every method then throws {@link Unusual}. */

/** The bytes hold something that only JSON.parse should judge: malformed, or legal and rare. */
export class Unusual extends Error {}

const [QUOTE, BACKSLASH, COMMA, COLON, MINUS, ZERO, NINE] = [0x22, 0x5c, 0x2c, 0x3a, 0x2d, 0x30, 0x39];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;

/** The byte of \b, \t and the like, by the letter's own. */
const ESCAPES: Readonly<Record<string, number>> = { '"': 0x22, "\\": 0x5c, "/": 0x2f, b: 8, f: 12, n: 10, r: 13, t: 9 };

export class JsonBytes {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** The next byte that is no white space, where the walk then stands. */
  peek(): number {
    for (;;) {
      const byte = this.bytes[this.at];
      if (byte === undefined) throw new Unusual("the bytes end");
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.at += 1;
    }
  }

  expect(byte: number): void {
    if (this.peek() !== byte) throw new Unusual("another byte was expected");
    this.at += 1;
  }

  /** Calls `member` with the walk at the first byte of each value of an object; it must walk over the value. */
  object(member: (key: string) => void): void {
    this.#each(OPEN_OBJECT, CLOSE_OBJECT, () => {
      const from = this.at;
      this.skipString();
      const key = JSON.parse(new TextDecoder().decode(this.bytes.subarray(from, this.at))) as string;
      this.expect(COLON);
      this.peek();
      member(key);
    });
  }

  /** The same for an object with many members: the walk stands at the key. */
  members(member: () => void): void {
    this.#each(OPEN_OBJECT, CLOSE_OBJECT, member);
  }

  /** Calls `item` with the walk at the first byte of each item of a list. */
  list(item: () => void): void {
    this.#each(OPEN_LIST, CLOSE_LIST, item);
  }

  #each(open: number, close: number, one: () => void): void {
    this.expect(open);
    if (this.peek() === close) {
      this.at += 1;
      return;
    }
    for (;;) {
      this.peek();
      one();
      if (this.peek() === close) break;
      this.expect(COMMA);
    }
    this.at += 1;
  }

  /** Over a value, whose grammar is not checked. */
  skipValue(): void {
    let depth = 0;
    do {
      const byte = this.peek();
      if (byte === QUOTE) {
        this.skipString();
        continue;
      }
      if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth += 1;
      if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
      this.at += 1;
      if (depth < 0) throw new Unusual("a bracket too many");
      if (depth === 0 && !this.#isBracket(byte)) this.#skipWord();
    } while (depth > 0);
  }

  #isBracket(byte: number): boolean {
    return byte === OPEN_LIST || byte === OPEN_OBJECT || byte === CLOSE_LIST || byte === CLOSE_OBJECT;
  }

  /** The rest of a number, true, false or null. */
  #skipWord(): void {
    for (;;) {
      const byte = this.bytes[this.at];
      const isRest = byte !== undefined && ((byte >= 0x61 && byte <= 0x7a) || (byte >= 0x2b && byte <= NINE) || byte === 0x45);
      if (!isRest || byte === COMMA) return;
      this.at += 1;
    }
  }

  skipString(): void {
    this.expect(QUOTE);
    for (;;) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new Unusual("the bytes end in a string");
      if (byte === QUOTE) return;
      if (byte === BACKSLASH) this.at += 1;
    }
  }

  /** Writes a string's UTF-8, which is never longer than what stands here, and returns the end of it. */
  readString(into: Uint8Array, to: number): number {
    const { bytes } = this;
    this.expect(QUOTE);
    for (;;) {
      const byte = bytes[this.at++];
      if (byte === QUOTE) return to;
      if (byte === undefined || byte < 0x20) throw new Unusual("no byte of a string");
      if (byte === BACKSLASH) to = this.#readEscape(into, to);
      else if (byte < 0x80) into[to++] = byte;
      else {
        const length = this.#characterLength(byte);
        for (let i = -1; i < length - 1; i++) into[to++] = bytes[this.at + i]!;
        this.at += length - 1;
      }
    }
  }

  /** Bytes of the well-formed character that began with `first` before the walk's place. */
  #characterLength(first: number): number {
    const [second, third, fourth] = [this.bytes[this.at], this.bytes[this.at + 1], this.bytes[this.at + 2]];
    if (second !== undefined && isContinuation(second)) {
      if (first >= 0xc2 && first < 0xe0) return 2;
      const isLong = isContinuation(third);
      if (first >= 0xe0 && first < 0xf0 && isLong && !(first === 0xe0 && second < 0xa0) && !(first === 0xed && second >= 0xa0)) return 3;
      const isLonger = isLong && isContinuation(fourth);
      if (first >= 0xf0 && first < 0xf5 && isLonger && !(first === 0xf0 && second < 0x90) && !(first === 0xf4 && second >= 0x90)) return 4;
    }
    throw new Unusual("malformed UTF-8");
  }

  #readEscape(into: Uint8Array, to: number): number {
    const letter = String.fromCharCode(this.bytes[this.at++] ?? 0);
    const byte = ESCAPES[letter];
    if (byte !== undefined) {
      into[to] = byte;
      return to + 1;
    }
    if (letter !== "u") throw new Unusual("an unknown escape");
    let code = this.#hex();
    if (code >= 0xd800 && code < 0xe000) {
      const [slash, u] = [this.bytes[this.at], this.bytes[this.at + 1]];
      if (code >= 0xdc00 || slash !== BACKSLASH || u !== 0x75) throw new Unusual("a lone surrogate");
      this.at += 2;
      const low = this.#hex();
      if (low < 0xdc00 || low >= 0xe000) throw new Unusual("a lone surrogate");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return writeCodePoint(code, into, to);
  }

  #hex(): number {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const digit = Number.parseInt(String.fromCharCode(this.bytes[this.at++] ?? 0), 16);
      if (Number.isNaN(digit)) throw new Unusual("no hexadecimal digit");
      value = value * 16 + digit;
    }
    return value;
  }

  /** An integer of at least 0, below 2^31. */
  readInteger(): number {
    let value = 0;
    const from = this.at;
    for (;;) {
      const byte = this.bytes[this.at];
      if (byte === undefined || byte < ZERO || byte > NINE) break;
      value = value * 10 + (byte - ZERO);
      this.at += 1;
    }
    const length = this.at - from;
    if (length === 0 || length > 9 || (length > 1 && this.bytes[from] === ZERO)) throw new Unusual("no small integer");
    // What follows a number that goes on is no comma or bracket, which the walk refuses.
    return value;
  }

  readNumber(): number {
    const from = this.at;
    if (this.bytes[from] === MINUS) this.at += 1;
    this.#skipWord();
    const text = new TextDecoder().decode(this.bytes.subarray(from, this.at));
    if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) throw new Unusual("no number");
    return Number(text);
  }
}

function writeCodePoint(code: number, into: Uint8Array, to: number): number {
  if (code < 0x80) into[to++] = code;
  else {
    if (code < 0x800) into[to++] = 0xc0 | (code >> 6);
    else {
      if (code < 0x10000) into[to++] = 0xe0 | (code >> 12);
      else {
        into[to++] = 0xf0 | (code >> 18);
        into[to++] = 0x80 | ((code >> 12) & 63);
      }
      into[to++] = 0x80 | ((code >> 6) & 63);
    }
    into[to++] = 0x80 | (code & 63);
  }
  return to;
}
