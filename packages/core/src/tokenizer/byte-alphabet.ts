/** GPT-2's reversible alphabet: one printable character per byte, so that byte strings can be written in JSON. */

/** Character of each byte. */
export const byteCharacters: readonly string[] = (() => {
  const printable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let extra = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : 256 + extra++));
})();

/** Bytes in the order of their characters, the order in which GPT-2's vocabulary and Hugging Face's trainer list them. */
export const bytesInOrder: readonly number[] = [...byteCharacters.keys()].sort((a, b) =>
  byteCharacters[a]! < byteCharacters[b]! ? -1 : 1,
);

/** Byte of each character code, or -1; the alphabet ends before U+0144. */
const byteOfCharacter = new Int16Array(0x144).fill(-1);
byteCharacters.forEach((character, byte) => {
  byteOfCharacter[character.charCodeAt(0)] = byte;
});

/**
 * Writes the bytes that a byte-level token stands for, whose name's UTF-8 is from `start` to `end`, and returns the end of them, or -1 when it has a
 * character outside the alphabet. They are never more than the name's; `into` may be `name`, up to where it is read.
 */
export function writeBytesOfToken(name: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  for (let i = start; i < end; i++) {
    const first = name[i]!;
    // Two bytes of UTF-8 reach beyond the alphabet.
    const code = first < 0x80 ? first : first < 0xe0 ? ((first & 31) << 6) | (name[++i]! & 63) : byteOfCharacter.length;
    const byte = byteOfCharacter[code] ?? -1;
    if (byte < 0) return -1;
    into[at++] = byte;
  }
  return at;
}

/** The bytes a byte-level token stands for, or undefined when it has a character outside the alphabet. */
export function bytesOfToken(token: string): Uint8Array<ArrayBuffer> | undefined {
  const name = utf8(token);
  const end = writeBytesOfToken(name, 0, name.length, name, 0);
  return end < 0 ? undefined : name.subarray(0, end);
}

/** A byte string in GPT-2's alphabet. */
export function tokenOfBytes(bytes: Uint8Array): string {
  let token = "";
  for (const byte of bytes) token += byteCharacters[byte];
  return token;
}

/** A text's UTF-8 in GPT-2's alphabet. */
export const byteLevelText = (text: string): string => tokenOfBytes(utf8(text));

/** Writes UTF-8 (at most 3 bytes for each code unit) and returns the end of it. Lone surrogates become U+FFFD. */
export function writeUtf8(text: string, into: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code < 0x80) {
      into[at++] = code;
      continue;
    }
    if (code >= 0xd800 && code <= 0xdfff) {
      code = text.codePointAt(i)!;
      if (code > 0xffff) i += 1;
      else code = 0xfffd;
    }
    if (code < 0x800) into[at++] = 0xc0 | (code >> 6);
    else {
      if (code < 0x10000) into[at++] = 0xe0 | (code >> 12);
      else {
        into[at++] = 0xf0 | (code >> 18);
        into[at++] = 0x80 | ((code >> 12) & 63);
      }
      into[at++] = 0x80 | ((code >> 6) & 63);
    }
    into[at++] = 0x80 | (code & 63);
  }
  return at;
}

/** UTF-8 of a string. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length * 3);
  return bytes.slice(0, writeUtf8(text, bytes, 0));
}
