/** The reference against numbers that TRL and transformers computed (fixtures/rl, float32, so within 1e-6). */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { expectClose } from "../conformance/index";
import { ops, POLICY_SUMS } from "../src/ops/index";
import { computeReference, processLogits } from "../src/reference/index";

const fixture = <T>(name: string) => JSON.parse(readFileSync(new URL(`../../../fixtures/rl/${name}`, import.meta.url), "utf8")) as T;

type Rows = number[][];

interface GrpoFixture {
  shared: Record<"logps" | "old_logps" | "ref_logps" | "mask" | "tool_mask" | "importance_sampling_ratio", Rows> & {
    advantages: number[];
    num_items_in_batch: number;
  };
  cases: {
    name: string;
    params: {
      use_old_logps: boolean;
      use_tool_mask: boolean;
      use_importance_sampling_ratio: boolean;
      loss_type: "grpo" | "bnpo" | "dr_grpo" | "dapo";
      beta: number;
      epsilon_low: number;
      epsilon_high: number;
      delta: number | null;
      max_completion_length: number;
      gradient_accumulation_steps: number;
    };
    expect: { loss: number; grad_logps: Rows; metrics: Record<string, number> };
  }[];
}

/** The cases whose objective is the fused op's; sequence-level ratios and other surrogates are composed elsewhere. */
const FUSED = [
  "grpo",
  "grpo_kl",
  "grpo_on_policy",
  "grpo_accum",
  "grpo_clip_higher",
  "grpo_two_sided",
  "bnpo",
  "bnpo_kl",
  "dr_grpo",
  "dapo",
  "dapo_kl",
  "tool_mask",
  "tis",
];

describe("policy_loss_fused equals TRL", () => {
  const { shared, cases } = fixture<GrpoFixture>("grpo.json");
  it.each(FUSED)("%s", (name) => {
    const { params, expect: golden } = cases.find((item) => item.name === name)!;
    const mask = shared.mask.map((row, b) => row.map((m, t) => m * (params.use_tool_mask ? shared.tool_mask[b]![t]! : 1)));
    const lengths = mask.map((row) => row.reduce((a, m) => a + m, 0));
    const tokens = lengths.reduce((a, b) => a + b, 0);
    const accumulation = params.gradient_accumulation_steps;
    // The reduction of each loss type as a weight of the tokens of sequence b.
    const weightOf = {
      grpo: (b: number) => 1 / (mask.length * lengths[b]! * accumulation),
      bnpo: () => 1 / (tokens * accumulation),
      dr_grpo: () => 1 / (mask.length * params.max_completion_length * accumulation),
      dapo: () => 1 / shared.num_items_in_batch,
    }[params.loss_type];
    const ratios = shared.importance_sampling_ratio;
    const weights = mask.map((row, b) => row.map((_, t) => weightOf(b) * (params.use_importance_sampling_ratio ? ratios[b]![t]! : 1)));
    const { sums, dlogps } = computeReference(
      ops.policyLoss.fused,
      {
        logps: shared.logps.flat(),
        oldLogps: (params.use_old_logps ? shared.old_logps : shared.logps).flat(),
        refLogps: params.beta === 0 ? undefined : shared.ref_logps.flat(),
        advantages: shared.mask.flatMap((row, b) => row.map(() => shared.advantages[b]!)),
        weights: weights.flat(),
        mask: mask.flat(),
      },
      {
        N: mask.flat().length,
        Q: 8,
        epsilon_low: params.epsilon_low,
        epsilon_high: params.epsilon_high,
        delta: params.delta ?? 0,
        beta: params.beta,
      },
    );
    const close = { rtol: 1e-6, atol: 1e-6, scale: "element" } as const;
    expectClose([sums![POLICY_SUMS.loss]!], [golden.loss], close);
    expectClose(dlogps!, golden.grad_logps.flat(), { ...close, atol: 1e-7 });
    const mean = (sum: keyof typeof POLICY_SUMS) => sums![POLICY_SUMS[sum]]! / sums![POLICY_SUMS.count]!;
    expect(sums![POLICY_SUMS.count]).toBe(tokens);
    expectClose(
      [mean("clipLow"), mean("clipHigh")],
      [golden.metrics["clip_ratio/low_mean"]!, golden.metrics["clip_ratio/high_mean"]!],
      close,
    );
    if (params.beta !== 0) expectClose([mean("k3")], [golden.metrics.kl!], close);
  });
});

interface SamplingFixture {
  cases: {
    name: string;
    inputs: { logits: Rows; previous_ids?: Rows };
    expect: { logits?: (number | null)[][]; probs?: Rows };
  }[];
}

const OFF = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

const PROCESSORS: Record<string, Partial<typeof OFF>> = {
  "temperature0.7": { temperature: 0.7 },
  top_k5: { topK: 5 },
  top_k1: { topK: 1 },
  "top_p0.8": { topP: 0.8 },
  "top_p0.3": { topP: 0.3 },
  "top_p0.999": { topP: 0.999 },
  "min_p0.1": { minP: 0.1 },
  "repetition1.3": { repetitionPenalty: 1.3 },
};

describe("sampling steps equal transformers", () => {
  const { cases } = fixture<SamplingFixture>("sampling.json");
  const find = (name: string) => cases.find((item) => item.name === name)!;

  it.each(Object.entries(PROCESSORS))("%s", (name, options) => {
    const { inputs, expect: golden } = find(name);
    inputs.logits.forEach((row, b) => {
      const seen = new Set(inputs.previous_ids?.[b]);
      const processed = processLogits(row, (token) => seen.has(token), { ...OFF, ...options });
      const wanted = golden.logits![b]!.map((logit) => logit ?? Number.NEGATIVE_INFINITY);
      expectClose(processed, wanted, { rtol: 1e-6, atol: 1e-6, scale: "element", label: `${name} row ${b}` });
    });
  });

  it("temperature, then top-k, then top-p", () => {
    const { inputs, expect: golden } = find("temp0.6_topk8_topp0.85");
    inputs.logits.forEach((row, b) => {
      const processed = processLogits(row, () => false, { ...OFF, temperature: 0.6, topK: 8, topP: 0.85 });
      const total = processed.reduce((sum, logit) => sum + Math.exp(logit), 0);
      const probabilities = processed.map((logit) => Math.exp(logit) / total);
      expectClose(probabilities, golden.probs![b]!, { rtol: 1e-6, atol: 1e-6, scale: "element", label: `row ${b}` });
    });
  });

  it("equal logits stay or go together, and something always stays", () => {
    const kept = (logits: number[], options: Partial<typeof OFF>) =>
      processLogits(logits, () => false, { ...OFF, ...options }).map((logit) => logit > Number.NEGATIVE_INFINITY);
    expect(kept([1, 2, 2, 0], { topK: 1 })).toEqual([false, true, true, false]);
    expect(kept([0, 0, 0, 0], { topP: 0.3 })).toEqual([true, true, true, true]);
    expect(kept([3, 0, 0], { topP: 0 })).toEqual([true, false, false]);
    // p = (0.665, 0.245, 0.09): the second is kept because only 0.665 < 0.7 is more likely.
    expect(kept([2, 1, 0], { topP: 0.7 })).toEqual([true, true, false]);
    expect(kept([2, 1, 0], { minP: 1 })).toEqual([true, false, false]);
  });
});
