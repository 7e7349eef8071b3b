/** Bytes that are shipped as text. */

/** Typed here because kernels compiles without the DOM library. */
declare const atob: (base64: string) => string;

export function decodeBase64(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
