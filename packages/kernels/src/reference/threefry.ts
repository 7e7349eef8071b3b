/** Threefry-2x32 with 20 rounds (Salmon et al. 2011, Random123): the counter-based generator every device shares. */

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const SKEIN_PARITY = 0x1bd11bda;

/** The block cipher: two 32-bit words of key and of counter in, two random words out. */
export function threefry2x32(key: readonly [number, number], counter: readonly [number, number]): [number, number] {
  const schedule = [key[0], key[1], key[0] ^ key[1] ^ SKEIN_PARITY];
  let x0 = (counter[0] + key[0]) >>> 0;
  let x1 = (counter[1] + key[1]) >>> 0;
  for (let round = 0; round < 20; round++) {
    const rotation = ROTATIONS[round % 8]!;
    x0 = (x0 + x1) >>> 0;
    x1 = (((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0) >>> 0;
    if (round % 4 === 3) {
      const injection = (round + 1) / 4;
      x0 = (x0 + schedule[injection % 3]!) >>> 0;
      x1 = (x1 + schedule[(injection + 1) % 3]! + injection) >>> 0;
    }
  }
  return [x0, x1];
}

/** A uniform number in [0, 1) with 24 bits, from the first word: exact in f32. */
export function uniform(key: readonly [number, number], counter: readonly [number, number]): number {
  return (threefry2x32(key, counter)[0] >>> 8) * 2 ** -24;
}
