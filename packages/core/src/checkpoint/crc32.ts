/** CRC-32 (IEEE 802.3, as in zip and png), four bytes at a time: finds damaged files, not forged ones. */

const tables = Array.from({ length: 4 }, () => new Int32Array(256));
for (let i = 0; i < 256; i++) {
  let c = i;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  (tables[0] as Int32Array)[i] = c;
}
for (let t = 1; t < 4; t++) {
  for (let i = 0; i < 256; i++) {
    const before = tables[t - 1]?.[i] as number;
    (tables[t] as Int32Array)[i] = (before >>> 8) ^ (tables[0]?.[before & 255] as number);
  }
}

/** Continues `crc` (0 to begin) over `bytes`; an unsigned 32-bit number. */
export function crc32(bytes: Uint8Array, crc = 0): number {
  const [t0, t1, t2, t3] = tables as [Int32Array, Int32Array, Int32Array, Int32Array];
  const byte = (i: number) => bytes[i] as number;
  let c = ~crc;
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) {
    c ^= byte(i) | (byte(i + 1) << 8) | (byte(i + 2) << 16) | (byte(i + 3) << 24);
    c = (t3[c & 255] as number) ^ (t2[(c >>> 8) & 255] as number) ^ (t1[(c >>> 16) & 255] as number) ^ (t0[c >>> 24] as number);
  }
  for (; i < bytes.length; i++) c = (c >>> 8) ^ (t0[(c ^ byte(i)) & 255] as number);
  return ~c >>> 0;
}
