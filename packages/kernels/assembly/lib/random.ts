/** Counter-based random numbers: Threefry-2x32-20 (Salmon et al. 2011; Random123), the same bits on every device. */

/** One block: key (k0, k1), counter (c0, c1) -> word 0 in the low half, word 1 in the high half. */
// @ts-ignore: decorator
@inline
export function threefry(k0: u32, k1: u32, c0: u32, c1: u32): u64 {
  const k2: u32 = 0x1bd11bda ^ k0 ^ k1;
  let a = c0 + k0;
  let b = c1 + k1;
  a += b; b = rotl<u32>(b, 13) ^ a;
  a += b; b = rotl<u32>(b, 15) ^ a;
  a += b; b = rotl<u32>(b, 26) ^ a;
  a += b; b = rotl<u32>(b, 6) ^ a;
  a += k1; b += k2 + 1;
  a += b; b = rotl<u32>(b, 17) ^ a;
  a += b; b = rotl<u32>(b, 29) ^ a;
  a += b; b = rotl<u32>(b, 16) ^ a;
  a += b; b = rotl<u32>(b, 24) ^ a;
  a += k2; b += k0 + 2;
  a += b; b = rotl<u32>(b, 13) ^ a;
  a += b; b = rotl<u32>(b, 15) ^ a;
  a += b; b = rotl<u32>(b, 26) ^ a;
  a += b; b = rotl<u32>(b, 6) ^ a;
  a += k0; b += k1 + 3;
  a += b; b = rotl<u32>(b, 17) ^ a;
  a += b; b = rotl<u32>(b, 29) ^ a;
  a += b; b = rotl<u32>(b, 16) ^ a;
  a += b; b = rotl<u32>(b, 24) ^ a;
  a += k1; b += k2 + 4;
  a += b; b = rotl<u32>(b, 13) ^ a;
  a += b; b = rotl<u32>(b, 15) ^ a;
  a += b; b = rotl<u32>(b, 26) ^ a;
  a += b; b = rotl<u32>(b, 6) ^ a;
  a += k2; b += k0 + 5;
  return (<u64>b << 32) | <u64>a;
}

/** Word 0 of the block with key = seed and counter = (counter, stream). */
// @ts-ignore: decorator
@inline
export function randomWord(seedLo: u32, seedHi: u32, stream: u32, counter: u32): u32 {
  return <u32>threefry(seedLo, seedHi, counter, stream);
}

/** A uniform number in [0, 1) on the 2^-24 grid: exact in f32, so every device draws the same one. */
// @ts-ignore: decorator
@inline
export function uniform(seedLo: u32, seedHi: u32, stream: u32, counter: u32): f32 {
  return <f32>(randomWord(seedLo, seedHi, stream, counter) >>> 8) * <f32>5.9604644775390625e-8;
}
