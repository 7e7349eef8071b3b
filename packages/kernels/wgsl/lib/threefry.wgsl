// Threefry-2x32 with 20 rounds (Salmon et al. 2011, Random123): the counter-based generator every device shares.

fn rotate_left(x: u32, bits: u32) -> u32 {
  return (x << bits) | (x >> (32u - bits));
}

fn threefry2x32(key: vec2u, counter: vec2u) -> vec2u {
  var schedule = array<u32, 3>(key.x, key.y, key.x ^ key.y ^ 0x1bd11bdau);
  var rotations = array<u32, 8>(13u, 15u, 26u, 6u, 17u, 29u, 16u, 24u);
  var x = counter + key;
  for (var round = 0u; round < 20u; round++) {
    x.x += x.y;
    x.y = rotate_left(x.y, rotations[round % 8u]) ^ x.x;
    if (round % 4u == 3u) {
      let injection = (round + 1u) / 4u;
      x.x += schedule[injection % 3u];
      x.y += schedule[(injection + 1u) % 3u] + injection;
    }
  }
  return x;
}

// A uniform number in [0, 1) with 24 bits, exact in f32.
fn uniform_draw(key: vec2u, counter: vec2u) -> f32 {
  return f32(threefry2x32(key, counter).x >> 8u) * 5.9604644775390625e-8;
}
