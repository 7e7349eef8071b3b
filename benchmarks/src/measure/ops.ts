/** Throughput of every entry point at the sizes of a training step of the `small` Llama shape. */
import type { Device } from "@trimtab/core";
import { cases, measure } from "@trimtab/kernels/conformance";
import { boundMs, type Ceilings } from "./ceilings";
import type { Section, Share } from "./section";
import { PASSES } from "./timing";

/** Sizes by dimension letter: 2,048 tokens in 8 rows, 256 channels, 8/4 heads of 32, 4,096 tokens of vocabulary; what only generation runs: a decoding step of 32 rows. */
const SIZES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  matmul_forward: { M: 2048, N: 1376, K: 256 },
  matmul_backward_input: { M: 2048, N: 1376, K: 256 },
  matmul_backward_weight: { M: 2048, N: 1376, K: 256 },
  matmul_backward_bias: { M: 2048, N: 256 },
  normed_matmul_forward: { M: 32, N: 512, K: 256, eps: 1e-5, offset: 0 },
  normed_matmul_gated: { M: 32, F: 688, K: 256, eps: 1e-5, offset: 0, kind: 0 },
  rms_norm_forward: { N: 2048, C: 256, eps: 1e-5 },
  rms_norm_backward: { N: 2048, C: 256, accumulate: 1 },
  layer_norm_forward: { N: 2048, C: 256, eps: 1e-5 },
  layer_norm_backward: { N: 2048, C: 256, accumulate: 1 },
  gated_activation_forward: { N: 2048, F: 688, kind: 0 },
  gated_activation_backward: { N: 2048, F: 688, kind: 0 },
  token_logprob_forward: { N: 2048, C: 256, V: 4096, inverse_temperature: 1, cap: 0 },
  token_logprob_backward: { N: 2048, C: 256, V: 4096, inverse_temperature: 1, cap: 0, first: 0 },
  adamw_step: { N: 5_400_000, Q: 2, lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, correction1: 0.1, correction2: 0.05 },
  accumulate_add: { N: 524_288 },
  attention_forward: { N: 2048, S: 8, H: 8, K: 4, D: 32, scale: 32 ** -0.5, cap: 0, window: 0 },
  attention_backward: { N: 2048, S: 8, H: 8, K: 4, D: 32, scale: 32 ** -0.5, cap: 0, window: 0 },
  policy_loss_fused: { N: 2048, Q: 8, epsilon_low: 0.2, epsilon_high: 0.2, delta: 0, beta: 0.04 },
};

/** The skinny products: a decoding step of 32 rows, and a LoRA adapter of rank 16 with its gradients. */
const SKINNY: readonly (readonly [name: string, values: Readonly<Record<string, number>>])[] = [
  ["matmul_forward", { M: 32, N: 1376, K: 256 }],
  ["matmul_forward", { M: 32, N: 256, K: 688 }],
  ["matmul_forward", { M: 32, N: 4096, K: 256 }],
  ["matmul_forward", { M: 2048, N: 16, K: 256 }],
  ["matmul_forward", { M: 2048, N: 256, K: 16 }],
  ["matmul_backward_weight", { M: 2048, N: 16, K: 256 }],
  ["matmul_backward_weight", { M: 2048, N: 256, K: 16 }],
];

/** Which scalars and letters these want is their cases' own affair: the largest size is measured. */
const AT_LARGEST = ["embedding_forward", "embedding_backward", "rope_rotate", "sample_forward", "kv_cache_attend", "kv_cache_extend"];

/** How much of a row's table its length fills is data: such counts are means, which one call may beat. */
const COUNTED_BY_DATA = ["kv_cache_attend", "kv_cache_extend"];

/** What targets speak of. */
const GROUPS: readonly (readonly [group: string, ops: RegExp])[] = [
  ["attention", /^attention_/],
  ["norms", /^(rms|layer)_norm_/],
  ["the fused loss", /^token_logprob_(forward|backward)$/],
];
const TARGETS = [...GROUPS.map(([group]) => [group, 70] as const), ["skinny products", 75] as const];

type Case = (typeof cases)[number];

export async function benchmarkOps(device: Device, ceilings: Ceilings | undefined): Promise<Section> {
  const rows: (string | number | null)[][] = [];
  const shares: (Share & { readonly group: string })[] = [];
  const sizeOf = (values: Readonly<Record<string, number>>) =>
    Object.entries(values)
      .filter(([letter]) => /^[A-Z]$/.test(letter))
      .map(([letter, value]) => `${letter}${value}`)
      .join(" ");
  const wanted: { readonly item: Case; readonly values: Readonly<Record<string, number>>; readonly group: string }[] = [];
  const seen = new Set<string>();
  for (const item of cases) {
    const { name } = item.entry;
    if (seen.has(name)) continue;
    const values = SIZES[name] ?? (AT_LARGEST.includes(name) ? item.sizes.at(-1) : undefined);
    if (!values) continue;
    seen.add(name);
    wanted.push({ item, values, group: GROUPS.find(([, pattern]) => pattern.test(name))?.[0] ?? "" });
  }
  for (const [name, values] of SKINNY)
    wanted.push({ item: cases.find(({ entry }) => entry.name === name) as Case, values, group: "skinny products" });

  const measured = new Map<(typeof wanted)[number], Awaited<ReturnType<typeof measure>>>();
  // An emulated GPU's times mean nothing.
  const passes = device.info.software ? 1 : PASSES;
  for (let pass = 0; pass < passes; pass++) {
    for (const op of wanted) {
      const m = await measure(device, op.item, op.values, { now: () => performance.now() });
      if (m.bestMs < (measured.get(op)?.bestMs ?? Number.POSITIVE_INFINITY)) measured.set(op, m);
    }
  }
  for (const [{ item, values, group }, m] of measured) {
    const { name } = item.entry;
    const rate = (amount: number) => amount / m.bestMs / 1e6;
    const share = ceilings ? boundMs(ceilings, m.cost) / m.bestMs : Number.NaN;
    if (!COUNTED_BY_DATA.includes(name)) shares.push({ name: `${name} ${sizeOf(values)}`, share, group });
    const limit = ceilings && (boundMs(ceilings, { ...m.cost, bytes: 0 }) >= boundMs(ceilings, m.cost) ? "arithmetic" : "bytes");
    rows.push([
      name,
      sizeOf(values),
      m.medianMs,
      m.bestMs,
      rate(m.cost.flops),
      rate(m.cost.bytes),
      limit ?? null,
      ceilings ? 100 * share : null,
    ]);
  }
  const least = (group: string) => 100 * Math.min(...shares.filter((share) => share.group === group).map(({ share }) => share));
  return {
    title: `Ops on ${device.info.name}`,
    columns: ["op", "size", "median ms", "best ms", "GFLOP/s", "GB/s", "bound by", "% of ceiling"],
    rows,
    notes: [`best of ${passes} passes over all ops; the median is of the best pass, rates and shares are of the best time`],
    shares,
    targets:
      device.info.software || !ceilings
        ? []
        : TARGETS.map(([group, target]) => ({ what: `${group}: least share of the ceiling`, target, measured: least(group), unit: " %" })),
  };
}
