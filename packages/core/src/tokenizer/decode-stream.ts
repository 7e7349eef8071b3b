/** Text from ids as they arrive, never half a character. */
import { utf8Decoder } from "@trimtab/kernels";

/** Made by `Tokenizer.decodeStream`: push ids, collect text, flush at the end. */
export class DecodeStream {
  private readonly decoder = utf8Decoder();
  private readonly bytesOf: (id: number) => Uint8Array | undefined;
  private toStrip: number;

  /** `bytesOf` gives undefined for ids to leave out; `stripStart` spaces are dropped at the beginning. */
  constructor(bytesOf: (id: number) => Uint8Array | undefined, stripStart: number) {
    this.bytesOf = bytesOf;
    this.toStrip = stripStart;
  }

  /** The characters that are complete with this id; "" while one is still open. */
  push(id: number): string {
    const bytes = this.bytesOf(id);
    return bytes === undefined ? "" : this.strip(this.decoder.decode(bytes, { stream: true }));
  }

  /** What an unfinished character leaves: U+FFFD or nothing. The stream can be used again afterwards. */
  flush(): string {
    return this.strip(this.decoder.decode());
  }

  private strip(text: string): string {
    if (this.toStrip === 0 || text === "") return text;
    let start = 0;
    while (start < this.toStrip && text[start] === " ") start += 1;
    // Spaces are dropped at the very beginning only.
    this.toStrip = start === text.length ? this.toStrip - start : 0;
    return text.slice(start);
  }
}
