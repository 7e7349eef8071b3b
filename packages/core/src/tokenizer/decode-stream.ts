/** Text from ids as they arrive, never half a character. */
import { utf8Decoder } from "@trimtab/kernels";

/** Made by `Tokenizer.decodeStream`: push ids, collect text, flush at the end. */
export interface DecodeStream {
  /** The characters that are complete with this id; "" while one is still open. */
  push(id: number): string;
  /** What an unfinished character leaves: U+FFFD or nothing. The stream can be used again afterwards. */
  flush(): string;
}

/**
 * For decoders that put bytes together. In byte-fallback vocabularies the bytes of a malformed run come out as they are complete, while `decode`
 * makes U+FFFD of the whole run.
 */
export class BytesDecodeStream implements DecodeStream {
  readonly #decoder = utf8Decoder();
  readonly #bytesOf: (id: number) => Uint8Array | undefined;
  readonly #stripStart: number;
  #toStrip: number;

  /** `bytesOf` gives undefined for ids to leave out; `stripStart` spaces are dropped at the beginning. */
  constructor(bytesOf: (id: number) => Uint8Array | undefined, stripStart: number) {
    this.#bytesOf = bytesOf;
    this.#stripStart = stripStart;
    this.#toStrip = stripStart;
  }

  push(id: number): string {
    const bytes = this.#bytesOf(id);
    return bytes === undefined ? "" : this.#strip(this.#decoder.decode(bytes, { stream: true }));
  }

  flush(): string {
    const rest = this.#strip(this.#decoder.decode());
    this.#toStrip = this.#stripStart;
    return rest;
  }

  #strip(text: string): string {
    if (this.#toStrip === 0 || text === "") return text;
    let start = 0;
    while (start < this.#toStrip && text[start] === " ") start += 1;
    // Spaces are dropped at the very beginning only.
    this.#toStrip = start === text.length ? this.#toStrip - start : 0;
    return text.slice(start);
  }
}

/**
 * For decoders whose tokens depend on their neighbours: the text of a window of ids, less what has been given before, once it does not end within
 * a character (as Hugging Face's DecodeStream).
 */
export class WindowDecodeStream implements DecodeStream {
  readonly #decode: (ids: readonly number[]) => string;
  #window: number[] = [];
  /** Ids of the window that have been given. */
  #given = 0;
  #givenText = "";

  /** `decode` leaves out what is to be left out. */
  constructor(decode: (ids: readonly number[]) => string) {
    this.#decode = decode;
  }

  push(id: number): string {
    this.#window.push(id);
    const text = this.#decode(this.#window);
    if (text.length <= this.#givenText.length || text.endsWith("\ufffd")) return "";
    const fresh = text.slice(this.#givenText.length);
    this.#window = this.#window.slice(this.#given);
    this.#given = this.#window.length;
    this.#givenText = this.#decode(this.#window);
    return fresh;
  }

  flush(): string {
    const rest = this.#decode(this.#window).slice(this.#givenText.length);
    this.#window = [];
    this.#given = 0;
    this.#givenText = "";
    return rest;
  }
}
