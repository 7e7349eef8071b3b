/** Plans of the optimiser's sum of squares, the policy loss and sampling. */
import type { Phase } from "../pool";
import { type Plan, phase } from "./plan";

/** Elements of one f64 partial sum. */
const SUM_BLOCK = 16384;
const TOKEN_BLOCK = 1024;

export const sumSquares: Plan = (call) => {
  const N = call.value("N");
  const count = Math.ceil(N / SUM_BLOCK);
  const partials = call.scratch(count * 8);
  return [
    phase("adamw_sum_squares__blocks", [call.pointer("g"), partials, N, SUM_BLOCK], count, SUM_BLOCK * 0.3),
    phase("adamw_sum_squares__total", [partials, call.pointer("sum"), count], 1, 1),
  ];
};

export const policyLossFused: Plan = (call) => {
  const N = call.value("N");
  const count = Math.ceil(N / TOKEN_BLOCK);
  const partials = call.scratch(count * 64);
  const inputs = call.entry.tensors.filter((t) => t.name !== "sums").map((t) => call.pointer(t.name));
  const scalars = ["epsilon_low", "epsilon_high", "delta", "beta"].map((name) => call.value(name));
  return [
    phase("policy_loss_fused__blocks", [...inputs, partials, N, ...scalars, TOKEN_BLOCK], count, TOKEN_BLOCK * 40),
    phase("policy_loss_fused__total", [partials, call.pointer("sums"), count], 1, 1),
  ];
};

/** Most bytes of processed logits held at a time. */
const SAMPLE_BYTES = 16 << 20;
/** Nanoseconds per logit: 4 as it is, 20 more for each search of a threshold, which the rows' settings, not the call, decide. */
const SAMPLE_NS = 8;

export const sampleForward: Plan = (call) => {
  const [N, V] = [call.value("N"), call.value("V")];
  const padded = Math.ceil(V / 4) * 4;
  const batch = Math.max(1, Math.min(N, Math.floor(SAMPLE_BYTES / (padded * 8))));
  const z = call.scratch(batch * padded * 4);
  const weights = call.scratch(batch * padded * 4);
  const pointers = ["logits", "settings", "keys", "positions", "allowed", "seen", "tokens", "logp"].map((name) => call.pointer(name));
  const phases: Phase[] = [];
  for (let first = 0; first < N; first += batch) {
    phases.push(
      phase("sample_forward__rows", [...pointers, z, weights, first, V, call.value("W")], Math.min(batch, N - first), V * SAMPLE_NS),
    );
  }
  return phases;
};
