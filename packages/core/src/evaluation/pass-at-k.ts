/** pass@k: the chance that at least one of k samples is right, without bias from n of them. */
import { ArgumentError } from "@trimtab/kernels";

/**
 * 1 - C(n - c, k) / C(n, k) of n samples with c right, as a product that does not overflow: 1 - Π_{i = n-c+1}^{n} (1 - k / i).
 * Source: Chen et al. 2021 (Codex), equation 1. Throws ArgumentError unless 0 ≤ c ≤ n and 1 ≤ k ≤ n.
 */
export function passAtK(n: number, c: number, k: number): number {
  if (!([n, c, k].every(Number.isInteger) && c >= 0 && c <= n && k >= 1 && k <= n)) {
    throw new ArgumentError(`passAtK: 0 ≤ c ≤ n and 1 ≤ k ≤ n must hold, got n ${n}, c ${c}, k ${k}. Sample more or lower k.`);
  }
  if (n - c < k) return 1;
  let failing = 1;
  for (let i = n - c + 1; i <= n; i++) failing *= 1 - k / i;
  return 1 - failing;
}
