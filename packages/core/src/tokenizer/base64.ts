/** Base64 to bytes (RFC 4648), for hosts without a common decoder. */
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const digitOf = new Uint8Array(128).fill(255);
for (let i = 0; i < ALPHABET.length; i++) digitOf[ALPHABET.charCodeAt(i)] = i;

/** The bytes, or undefined where the text is not base64. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(Math.ceil((text.length * 3) / 4));
  const end = writeBase64(text, 0, text.length, bytes, 0);
  return end < 0 ? undefined : bytes.subarray(0, end);
}

/** Writes the bytes of text from `start` to `end` and returns the end of them, or -1 where that is not base64. */
export function writeBase64(text: string, start: number, end: number, into: Uint8Array, at: number): number {
  if ((end - start) % 4 !== 0) return -1;
  const padding = end > start && text[end - 1] === "=" ? (text[end - 2] === "=" ? 2 : 1) : 0;
  let bits = 0;
  let held = 0;
  for (let i = start; i < end - padding; i++) {
    const value = digitOf[text.charCodeAt(i)] ?? 255;
    if (value === 255) return -1;
    bits = (bits << 6) | value;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    into[at++] = (bits >> held) & 255;
  }
  return at;
}
