/** Rotary tables: angle = position * inverse frequency, rounded to f32 as PyTorch does, then cosine and sine in f64. */

/** cos, sin (P, half) f32 out; frequencies (half) f32 in; both tables are multiplied by `attentionFactor`. */
export function rope_table(cos: usize, sin: usize, frequencies: usize, positions: u32, half: u32, attentionFactor: f64): void {
  for (let p: u32 = 0; p < positions; p++) {
    for (let i: u32 = 0; i < half; i++) {
      const angle = <f64>(<f32>p * load<f32>(frequencies + ((<usize>i) << 2)));
      const at = (<usize>p * half + i) << 2;
      store<f32>(cos + at, <f32>(<f64>(<f32>NativeMath.cos(angle)) * attentionFactor));
      store<f32>(sin + at, <f32>(<f64>(<f32>NativeMath.sin(angle)) * attentionFactor));
    }
  }
}
