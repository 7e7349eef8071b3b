/** The settings with which training fits a budget: micro-batches as large as may be, and activations recomputed where that is not enough. */
import { OutOfMemoryError } from "@trimtab/kernels";
import type { Decoder } from "../models/decoder";
import { newLora } from "../models/lora";
import { formatBytes } from "./format-plan";
import { type MemoryPlan, type MemoryRequest, planMemory, planWithin } from "./plan-memory";

/** Options that change what training takes and leave its result as it is, but for rounding: a gradient does not depend on the split. */
export interface FittedOptions {
  readonly maxTokensPerMicroBatch?: number | undefined;
  readonly gradientCheckpointing?: boolean | undefined;
}

export interface FittedMemory {
  /** To be given to the trainer in place of its own; empty where those fit. */
  readonly options: FittedOptions;
  readonly plan: MemoryPlan;
}

/** Batches whose sizes vary leave fragments that a plan of the longest ones does not have: this share of the budget stays free for them. */
const RESERVE = 0.1;
/** Micro-batches below this many tokens keep no processor busy: before them, activations are recomputed, for a third more work. */
const WORTHWHILE_TOKENS = 512;
/** The search goes up to 2^20 tokens, in steps of √2. */
const MOST_STEPS = 40;

/**
 * Finds how a run fits its budget: as its options have it; else in the largest micro-batches (in tokens) that fit; else, where those have fewer than
 * 512, with gradient checkpointing besides. Throws OutOfMemoryError, which says by how much and what would help, where a single row does not fit.
 */
export async function fitMemory<Options extends object>(request: MemoryRequest<Options>): Promise<FittedMemory> {
  const asked = await planWithin(request);
  if (asked && isEasy(asked)) return { options: {}, plan: asked };
  const without = await largest(request, {});
  if (without && tokensOf(without) >= WORTHWHILE_TOKENS) return without;
  const recomputing = await largest(request, { gradientCheckpointing: true });
  const found = recomputing ?? without;
  if (found) return found;
  // Nothing is free for fragments, but the longest rows do fit.
  const least = { maxTokensPerMicroBatch: 1, gradientCheckpointing: true };
  const plan = await planMemory(changed(request, least));
  if (plan.fits) return { options: least, plan };
  throw await refusal("fitMemory", request, plan, least);
}

/** Throws OutOfMemoryError, which says by how much and what would help, unless a run fits as its options have it. */
export async function requireMemory<Options extends object>(request: MemoryRequest<Options>): Promise<MemoryPlan> {
  const plan = await planMemory(request);
  if (!plan.fits) throw await refusal("requireMemory", request, plan, {});
  return plan;
}

/** The largest micro-batches that fit, in steps of √2; undefined where none do. */
async function largest<Options extends object>(request: MemoryRequest<Options>, options: FittedOptions): Promise<FittedMemory | undefined> {
  const at = async (exponent: number): Promise<FittedMemory | undefined> => {
    const maxTokensPerMicroBatch = Math.floor(2 ** (exponent / 2));
    const chosen = { ...options, maxTokensPerMicroBatch };
    const plan = await planWithin(changed(request, chosen));
    return plan && isEasy(plan) ? { options: chosen, plan } : undefined;
  };
  let best = await at(0);
  if (!best) return undefined;
  let [low, high] = [0, MOST_STEPS];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const found = await at(middle);
    if (found) [low, best] = [middle, found];
    else high = middle;
  }
  return best;
}

const isEasy = ({ fits, peakBytes, budgetBytes }: MemoryPlan) =>
  fits && (budgetBytes === undefined || peakBytes <= (1 - RESERVE) * budgetBytes);

const tokensOf = ({ options }: FittedMemory) => options.maxTokensPerMicroBatch ?? Number.POSITIVE_INFINITY;

function changed<Options extends object>(request: MemoryRequest<Options>, options: object): MemoryRequest<Options> {
  return { ...request, options: async (device) => ({ ...(await request.options(device)), ...options }) };
}

/** What could be changed about a run, in the words of the library's options; each is planned before it is recommended. */
async function refusal<Options extends object>(
  where: string,
  request: MemoryRequest<Options>,
  { peakBytes, budgetBytes }: MemoryPlan,
  chosen: FittedOptions,
): Promise<OutOfMemoryError> {
  const budget = budgetBytes as number;
  const least = { maxTokensPerMicroBatch: 1, gradientCheckpointing: true };
  const remedies: [what: string, request: MemoryRequest<Options>][] = [
    ["micro-batches of one row with gradientCheckpointing", changed(request, least)],
    ['8-bit moments (optim: "adamw_8bit") besides', changed(request, { ...least, optim: "adamw_8bit" })],
    ["maxLength and maxCompletionLength of 128 besides", changed(request, { ...least, maxLength: 128, maxCompletionLength: 128 })],
    ["an adapter (usePeft, newLora) besides", changed(withAdapter(request), least)],
  ];
  const words: string[] = [];
  for (const [what, changedRequest] of remedies.slice(chosen.gradientCheckpointing ? 1 : 0)) {
    try {
      const plan = await planMemory(changedRequest);
      if (plan.peakBytes < peakBytes) words.push(`${what}: ${formatBytes(plan.peakBytes)}${plan.fits ? ", which fits" : ""}`);
    } catch {
      // A remedy that the trainer refuses for this run is none.
    }
  }
  const how = chosen.gradientCheckpointing ? " even one row at a time, with gradientCheckpointing" : "";
  return new OutOfMemoryError(
    `${where}: training must fit ${formatBytes(budget)}, got a need of ${formatBytes(peakBytes)}${how}: ${formatBytes(peakBytes - budget)} too much. ${
      words.length > 0 ? `It would take with ${words.join("; with ")}.` : "Use a smaller model or a device with more memory."
    }`,
    peakBytes,
    budget,
  );
}

/** The same run with a new adapter on the model that it trains. Throws where it has one. */
function withAdapter<Options extends object>(request: MemoryRequest<Options>): MemoryRequest<Options> {
  return {
    ...request,
    async options(device) {
      const options = (await request.options(device)) as Options & { readonly model: { readonly decoder: Decoder } };
      const { decoder } = options.model;
      if (decoder.adapter) throw new TypeError("withAdapter: the model has one.");
      return { ...options, model: { ...options.model, decoder: decoder.withAdapter(newLora(decoder)) } };
    },
  };
}
