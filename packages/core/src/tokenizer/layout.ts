/** What one text is made of for the encoder: stretches of text, and ids between them. */
import { TokenEncoder } from "@trimtab/kernels";

export class Layout {
  readonly #texts: string[] = [];
  readonly #entries: number[] = [];

  addText(text: string): void {
    if (text === "") return;
    this.#texts.push(text);
    this.#entries.push(text.length);
  }

  addId(id: number): void {
    this.#entries.push(TokenEncoder.id(id));
  }

  /** All of it in one call into WebAssembly. */
  encode(encoder: TokenEncoder): Uint32Array<ArrayBuffer> {
    if (this.#entries.length === 0) return new Uint32Array(0);
    const isPlain = this.#entries.length === 1 && this.#texts.length === 1;
    return isPlain ? encoder.encode(this.#texts[0]!) : encoder.encode(this.#texts.map(wellFormed).join(""), this.#entries);
  }
}

/** Two lone surrogates side by side must not become a character. */
const wellFormed = (text: string) => (LONE_SURROGATE.test(text) ? text.replace(/\p{Surrogate}/gu, "\ufffd") : text);
const LONE_SURROGATE = /\p{Surrogate}/u;
