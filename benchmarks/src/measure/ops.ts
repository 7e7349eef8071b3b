/** Throughput of every entry point at the sizes of a training step of the `small` Llama shape. */
import type { Device } from "@trimtab/core";
import { cases, measure } from "@trimtab/kernels/conformance";
import { boundMs, type Ceilings } from "./ceilings";
import type { Section, Share } from "./section";

/** Sizes by dimension letter: 2,048 tokens in 8 rows, 256 channels, 8/4 heads of 32, 4,096 tokens of vocabulary. */
const SIZES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  matmul_forward: { M: 2048, N: 1376, K: 256 },
  matmul_backward_input: { M: 2048, N: 1376, K: 256 },
  matmul_backward_weight: { M: 2048, N: 1376, K: 256 },
  matmul_backward_bias: { M: 2048, N: 256 },
  rms_norm_forward: { N: 2048, C: 256, eps: 1e-5 },
  rms_norm_backward: { N: 2048, C: 256 },
  layer_norm_forward: { N: 2048, C: 256, eps: 1e-5 },
  layer_norm_backward: { N: 2048, C: 256 },
  gated_activation_forward: { N: 2048, F: 688, kind: 0 },
  gated_activation_backward: { N: 2048, F: 688, kind: 0 },
  token_logprob_forward: { N: 2048, C: 256, V: 4096, inverse_temperature: 1, cap: 0 },
  token_logprob_backward: { N: 2048, C: 256, V: 4096, inverse_temperature: 1, cap: 0 },
  adamw_step: { N: 5_400_000, Q: 2, lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, correction1: 0.1, correction2: 0.05 },
  accumulate_add: { N: 524_288 },
  attention_forward: { N: 2048, S: 8, H: 8, K: 4, D: 32, scale: 32 ** -0.5, cap: 0, window: 0 },
  attention_backward: { N: 2048, S: 8, H: 8, K: 4, D: 32, scale: 32 ** -0.5, cap: 0, window: 0 },
  policy_loss_fused: { N: 2048, Q: 8, epsilon_low: 0.2, epsilon_high: 0.2, delta: 0, beta: 0.04 },
};

/** Which scalars and letters these want is their cases' own affair: the largest size is measured. */
const AT_LARGEST = ["embedding_forward", "embedding_backward", "rope_rotate", "sample_forward", "kv_cache_attend"];

/** How much of a row's table its length fills is data: such counts are means, which one call may beat. */
const COUNTED_BY_DATA = ["kv_cache_attend"];

export async function benchmarkOps(device: Device, ceilings: Ceilings | undefined): Promise<Section> {
  const rows: (string | number | null)[][] = [];
  const shares: Share[] = [];
  const seen = new Set<string>();
  for (const item of cases) {
    const { name } = item.entry;
    if (seen.has(name)) continue;
    const values = SIZES[name] ?? (AT_LARGEST.includes(name) ? item.sizes.at(-1) : undefined);
    if (!values) continue;
    seen.add(name);
    const m = await measure(device, item, values, { now: () => performance.now() });
    const size = Object.entries(values)
      .filter(([letter]) => /^[A-Z]$/.test(letter))
      .map(([letter, value]) => `${letter}${value}`)
      .join(" ");
    const rate = (amount: number) => amount / m.bestMs / 1e6;
    const share = ceilings ? boundMs(ceilings, m.cost) / m.bestMs : Number.NaN;
    if (!COUNTED_BY_DATA.includes(name)) shares.push({ name, share });
    const limit = ceilings && (boundMs(ceilings, { ...m.cost, bytes: 0 }) >= boundMs(ceilings, m.cost) ? "arithmetic" : "bytes");
    rows.push([name, size, m.medianMs, m.bestMs, rate(m.cost.flops), rate(m.cost.bytes), limit ?? null, ceilings ? 100 * share : null]);
  }
  return {
    title: `Ops on ${device.info.name}`,
    columns: ["op", "size", "median ms", "best ms", "GFLOP/s", "GB/s", "bound by", "% of ceiling"],
    rows,
    notes: ["rates and shares are those of the best time"],
    shares,
  };
}
