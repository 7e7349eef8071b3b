/** Sixteen-bit floats: widening is exact, narrowing rounds to nearest, ties to even. */

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

const bitsOf = (value: number): number => {
  single[0] = value;
  return word[0] as number;
};

/** The bits of floats, without copying them. */
const allBits = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

/** bfloat16 bits to f32. */
export function widenBf16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = (bits[i] as number) << 16;
  return new Float32Array(words.buffer);
}

/** f32 to bfloat16 bits. */
export function narrowBf16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = allBits(values);
  const halves = new Uint16Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const bits = words[i] as number;
    const isNumber = (bits & 0x7fffffff) <= 0x7f800000;
    halves[i] = isNumber ? (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16 : (bits >>> 16) | 0x40;
  }
  return halves;
}

/** IEEE half bits to f32. */
export function widenF16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  const values = new Float32Array(words.buffer);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i] as number;
    const sign = (half & 0x8000) << 16;
    const magnitude = half & 0x7fff;
    if (magnitude >= 0x7c00) words[i] = sign | 0x7f800000 | ((magnitude & 0x3ff) << 13);
    else if (magnitude >= 0x400) words[i] = sign | ((magnitude << 13) + 0x38000000);
    // Subnormal: an integer number of 2^-24.
    else {
      values[i] = magnitude * 2 ** -24;
      words[i] = (words[i] as number) | sign;
    }
  }
  return values;
}

/** f32 to IEEE half bits; what exceeds 65504 by half a step or more becomes infinite. */
export function narrowF16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = allBits(values);
  const halves = new Uint16Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const bits = words[i] as number;
    halves[i] = ((bits >>> 16) & 0x8000) | halfMagnitude(bits & 0x7fffffff, values[i] as number);
  }
  return halves;
}

/** The half's bits without its sign. */
function halfMagnitude(magnitude: number, value: number): number {
  if (magnitude > 0x7f800000) return 0x7e00;
  if (magnitude >= 0x477ff000) return 0x7c00;
  if (magnitude >= 0x38800000) return (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
  // Below 2^-14: adding 2^-1 shifts the multiple of 2^-24 into the low mantissa bits, rounded to nearest even by the addition.
  return bitsOf(Math.abs(value) + 0.5) - 0x3f000000;
}
