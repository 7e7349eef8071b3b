/** The policy objectives against TRL's own numbers (fixtures/rl/grpo.json), and their laws. */
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice, type ReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/rl/grpo.json";
import { Tape } from "../src/autograd/tape";
import { entropyBonus } from "../src/losses/entropy-bonus";
import { nllLoss } from "../src/losses/nll";
import { policyLoss } from "../src/losses/policy-loss";
import { sequencePolicyLoss } from "../src/losses/sequence-policy-loss";
import { entropyWeight, type LossType, type StepTotals, tokenWeights } from "../src/losses/token-weights";
import { policyMetrics } from "../src/rl/metrics";
import { allocate, type Tensor } from "../src/tensor/tensor";
import { surrogates } from "../src/trainers/policy-surrogates";
import { describeDevices, slack } from "./devices";

const reference = createReferenceDevice();

/** Numbers as they are stored: f64 on the reference device. */
async function valuesOf(device: Device, tensor: Tensor): Promise<number[]> {
  return [...("readF64" in device ? (device as ReferenceDevice).readF64(tensor) : await device.read(tensor))];
}

/** A tensor of the tape, on the reference device without rounding to f32. */
function exact(tape: Tape, values: readonly number[]): Tensor {
  const tensor = tape.alloc([values.length]);
  if ("writeF64" in tape.device) (tape.device as ReferenceDevice).writeF64(tensor, Float64Array.from(values));
  else tape.device.write(tensor, Float32Array.from(values));
  return tensor;
}

/** Makes `tensors` the leaves of a fresh tape; their gradients can be read once `backward` has run. */
function leaves(tape: Tape, tensors: readonly Tensor[]): () => Promise<number[][]> {
  const kept = tensors.map(({ shape }) => allocate(tape.device, shape));
  tape.record(tensors, () => {
    tensors.forEach((tensor, i) => {
      tape.device.copy(tape.gradOrZero(tensor), kept[i] as Tensor);
    });
  });
  return async () => {
    const gradients = await Promise.all(kept.map((gradient) => valuesOf(tape.device, gradient)));
    for (const { buffer } of kept) tape.device.free(buffer);
    return gradients;
  };
}

interface Inputs {
  readonly logps: number[][];
  readonly oldLogps: number[][] | undefined;
  readonly refLogps: number[][] | undefined;
  readonly entropies: number[][];
  readonly mask: number[][];
  readonly advantages: number[];
}

interface Options {
  readonly lossType: LossType;
  readonly level: "token" | "sequence";
  readonly epsilonLow: number;
  readonly epsilonHigh: number;
  readonly delta: number;
  readonly beta: number;
  readonly entropyCoef: number;
}

/** Loss, gradients on the counting tokens and metrics, as the trainer computes them for one micro-batch. */
async function run(device: Device, inputs: Inputs, options: Options, totalsOf: (tokens: number) => StepTotals) {
  const pick = (values: number[][]) => values.map((row, s) => row.filter((_, t) => inputs.mask[s]?.[t] === 1));
  const logps = pick(inputs.logps);
  const lengths = logps.map((row) => row.length);
  const targetOffsets = Uint32Array.from([0, ...lengths.map((_, s) => lengths.slice(0, s + 1).reduce((a, b) => a + b, 0))]);
  const totals = totalsOf(targetOffsets.at(-1) as number);
  const tape = new Tape(device);
  const logp = exact(tape, logps.flat());
  const entropy = exact(tape, pick(inputs.entropies).flat());
  const [sums, surrogate] = [allocate(device, [8]), allocate(device, [1])];
  const gradients = leaves(tape, [logp, entropy]);
  const oldLogps = inputs.oldLogps && pick(inputs.oldLogps);
  const roots = surrogates[options.level](
    tape,
    {
      logps: logp,
      oldLogps: oldLogps ? exact(tape, oldLogps.flat()) : logp,
      refLogps: inputs.refLogps ? exact(tape, pick(inputs.refLogps).flat()) : undefined,
      targetOffsets,
      advantages: Float32Array.from(lengths.flatMap((length, s) => new Array(length).fill(inputs.advantages[s]))),
      weights: lengths.map((length) => tokenWeights[options.lossType](length, totals)),
    },
    options,
    { sums, surrogate },
  );
  const weight = options.entropyCoef * entropyWeight(options.lossType, totals);
  const entropies = pick(inputs.entropies).flat();
  const sumOf = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  tape.backward([...roots, ...entropyBonus(tape, entropy, weight)]);
  const [policySums, [sequenceLoss]] = [await valuesOf(device, sums), await valuesOf(device, surrogate)];
  const policy = (policySums[0] as number) + (sequenceLoss as number);
  const k3 = policySums[2] as number;
  const [gradient, entropyGradient] = (await gradients()) as [number[], number[]];
  const rows = logps.map((row, s) => ({
    logps: row,
    oldLogps: oldLogps?.[s] ?? row,
    samplerLogps: row,
    advantage: inputs.advantages[s] as number,
  }));
  const result = {
    loss: policy - weight * sumOf(entropies),
    policy,
    gradient,
    entropyGradient,
    metrics: { kl: k3 / entropies.length, entropy: sumOf(entropies) / entropies.length, ...policyMetrics(rows, options) },
  };
  tape.dispose();
  for (const { buffer } of [sums, surrogate]) device.free(buffer);
  return result;
}

const { shared } = golden;
const toolMasked = shared.mask.map((row, s) => row.map((m, t) => m * (shared.tool_mask[s]?.[t] as number)));

const names = `grpo grpo_kl grpo_on_policy grpo_accum grpo_clip_higher grpo_two_sided bnpo bnpo_kl dr_grpo dapo dapo_kl gspo gspo_kl
  tool_mask entropy_bonus dapo_entropy_bonus`.split(/\s+/);

describeDevices("policy objectives give TRL's loss, gradient and metrics", (device) => {
  const tolerance = 1e-6 * slack(device);
  const expectClose = (got: number | undefined, wanted: number, what: string) => {
    expect(Math.abs((got as number) - wanted), `${what}: got ${got}, wanted ${wanted}`).toBeLessThan(tolerance);
  };
  for (const name of names) {
    test(name, async () => {
      const { params, expect: expected } = golden.cases.find((c) => c.name === name)!;
      const mask = params.use_tool_mask ? toolMasked : shared.mask;
      const inputs = {
        logps: shared.logps,
        oldLogps: params.use_old_logps ? shared.old_logps : undefined,
        refLogps: params.beta > 0 ? shared.ref_logps : undefined,
        entropies: shared.entropies,
        mask,
        advantages: shared.advantages,
      };
      const accumulation = params.gradient_accumulation_steps;
      const options = {
        lossType: params.loss_type as LossType,
        level: params.importance_sampling_level as "token" | "sequence",
        epsilonLow: params.epsilon_low,
        epsilonHigh: params.epsilon_high,
        delta: params.delta ?? 0,
        beta: params.beta,
        entropyCoef: params.entropy_coef,
      };
      // The case is one of `accumulation` equal micro-batches; dapo counts the tokens of the whole generation batch.
      const result = await run(device, inputs, options, (tokens) => ({
        sequences: 6 * accumulation,
        tokens: tokens * accumulation,
        generationTokens: shared.num_items_in_batch,
        maxCompletionLength: params.max_completion_length,
      }));
      const pick = (values: number[][]) => values.flatMap((row, s) => row.filter((_, t) => mask[s]?.[t] === 1));
      expectClose(result.loss, expected.loss, "loss");
      const wanted = pick(expected.grad_logps as number[][]);
      expect(result.gradient.length).toBe(wanted.length);
      wanted.forEach((value, i) => {
        expectClose(result.gradient[i], value, `gradient ${i}`);
      });
      const { policy_loss, entropy_coef, ...metrics } = expected.metrics as Partial<Record<string, number>>;
      expect(Object.keys(metrics).length).toBeGreaterThan(4);
      for (const [metric, value] of Object.entries(metrics)) {
        expectClose(result.metrics[metric as keyof typeof result.metrics], value as number, metric);
      }
      if (policy_loss !== undefined) expectClose(result.policy, policy_loss, "policy_loss");
      if ("grad_entropies" in expected) {
        pick(expected.grad_entropies as number[][]).forEach((value, i) => {
          expectClose(result.entropyGradient[i], value, `entropy gradient ${i}`);
        });
      }
    });
  }
});

const options = { epsilonLow: 0.2, epsilonHigh: 0.2, delta: 0, beta: 0.1 };
const levels = ["token", "sequence"] as const;

describe("laws", () => {
  test.each(levels)("fresh completions have the policy gradient, at %s level", async (level) => {
    const tape = new Tape(reference);
    const logps = exact(tape, [-1, -2, -3]);
    const [sums, surrogate] = [allocate(reference, [8]), allocate(reference, [1])];
    const gradients = leaves(tape, [logps]);
    const inputs = {
      logps,
      oldLogps: logps,
      refLogps: undefined,
      targetOffsets: Uint32Array.of(0, 2, 3),
      advantages: Float32Array.of(0.5, 0.5, -2),
      weights: [0.25, 0.5],
    };
    tape.backward(surrogates[level](tape, inputs, options, { sums, surrogate }));
    expect(((await gradients())[0] as number[]).map((g) => Number(g.toFixed(12)))).toEqual([-0.125, -0.125, 1]);
    tape.dispose();
  });

  test.each(levels)("advantages of zero give a gradient of exactly zero, at %s level", async (level) => {
    const tape = new Tape(reference);
    const logps = exact(tape, [-1, -2, -3]);
    const [sums, surrogate] = [allocate(reference, [8]), allocate(reference, [1])];
    const gradients = leaves(tape, [logps]);
    const oldLogps = exact(tape, [-1.5, -1.9, -2]);
    const inputs = {
      logps,
      oldLogps,
      refLogps: undefined,
      targetOffsets: Uint32Array.of(0, 2, 3),
      advantages: new Float32Array(3),
      weights: [1, 1],
    };
    tape.backward(surrogates[level](tape, inputs, options, { sums, surrogate }));
    expect(((await gradients())[0] as number[]).every((g) => g === 0)).toBe(true);
    tape.dispose();
  });

  test.each(levels)("masked NaN cannot matter, at %s level", async (level) => {
    const poisoned = async (poison: number) => {
      const tape = new Tape(reference);
      const logps = exact(tape, [-1, poison, -3, poison]);
      const [sums, surrogate] = [allocate(reference, [8]), allocate(reference, [1])];
      const gradients = leaves(tape, [logps]);
      const common = {
        logps,
        oldLogps: exact(tape, [-1.1, poison, -3.1, poison]),
        refLogps: exact(tape, [-1.2, poison, -2.8, poison]),
        weights: exact(tape, [0.5, 0.5, 0.5, 0.5]),
        mask: exact(tape, [1, 0, 1, 0]),
      };
      const roots =
        level === "token"
          ? policyLoss(tape, { ...common, advantages: exact(tape, [1, poison, -1, poison]) }, options, sums)
          : sequencePolicyLoss(
              tape,
              {
                ...common,
                offsets: tape.constant(Uint32Array.of(0, 2, 4)),
                inverseLengths: exact(tape, [1, 1]),
                sequenceAdvantages: exact(tape, [1, -1]),
                sequenceWeights: exact(tape, [0.5, 0.5]),
              },
              options,
              sums,
              surrogate,
            );
      tape.backward(roots);
      const all = [...((await gradients())[0] as number[]), ...reference.readF64(sums)];
      tape.dispose();
      return all;
    };
    const clean = await poisoned(0);
    expect(await poisoned(Number.NaN)).toEqual(clean);
    expect(clean.slice(0, 4).filter((g) => g === 0)).toHaveLength(2);
  });

  test("numeric gradient of the sequence surrogate with KL and entropy bonus", async () => {
    const base = {
      logps: shared.logps.slice(0, 3),
      oldLogps: shared.old_logps.slice(0, 3),
      refLogps: shared.ref_logps.slice(0, 3),
      entropies: shared.entropies.slice(0, 3),
      mask: shared.mask.slice(0, 3),
      advantages: shared.advantages.slice(0, 3),
    };
    const all = { ...options, lossType: "bnpo" as const, level: "sequence" as const, epsilonHigh: 1, entropyCoef: 0.01 };
    const totals = (tokens: number) => ({ sequences: 3, tokens, generationTokens: tokens, maxCompletionLength: 8 });
    const lossAt = async (shift: number) => {
      const logps = base.logps.map((row, s) => row.map((value, t) => value + (s === 0 && t === 1 ? shift : 0)));
      return (await run(reference, { ...base, logps }, all, totals)).loss;
    };
    const h = 1e-5;
    const numeric = ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
    expect((await run(reference, base, all, totals)).gradient[1]).toBeCloseTo(numeric, 8);
  });

  test("nll: the gradient is minus the weight", async () => {
    const tape = new Tape(reference);
    const logps = exact(tape, [-1, -2]);
    const gradients = leaves(tape, [logps]);
    tape.backward(nllLoss(tape, logps, 0.25));
    expect((await gradients())[0] as number[]).toEqual([-0.25, -0.25]);
    tape.dispose();
  });
});
