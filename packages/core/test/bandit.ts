/** A bandit with a known optimum: one prompt, one token, eight arms, and the exact value of a policy that is priced by its KL to the first one. */
import type { Device } from "@trimtab/kernels";
import { Tape } from "../src/autograd/tape";
import { collate } from "../src/data/batch";
import { Decoder } from "../src/models/decoder";
import { batchLogprobs } from "../src/models/logprobs";
import type { RewardFunction } from "../src/rl/rewards";
import type { TrainingModel } from "../src/trainers/training-model";
import { llamaConfig } from "./generate-model";
import { byteTokenizer } from "./trainer-model";

export const ARMS = 8;
/** What each arm pays; arm 0 is the end of text. */
const PAY = [0, 0.1, 0.9, 0.3, 0, 1, 0.5, 0.2];

/** Token 1 of the byte alphabet. */
export const banditPrompts = [{ prompt: "!" }];
export const banditReward: RewardFunction = function pay({ completionIds }) {
  return completionIds.map((ids) => PAY[ids[0] as number] as number);
};

/** One layer of 16 channels whose vocabulary is the arms. */
export function banditModel(device: Device): TrainingModel {
  const decoder = new Decoder(device, {
    ...llamaConfig,
    vocabSize: ARMS,
    layers: 1,
    bosTokenId: undefined,
    eosTokenIds: [0],
    initializerRange: 0.1,
  });
  decoder.parameters.initialise(5);
  return { decoder, tokenizer: byteTokenizer };
}

/** The policy's log-probability of each arm. */
export async function armLogps({ decoder, tokenizer }: TrainingModel): Promise<number[]> {
  const prompt = tokenizer.encode(banditPrompts[0]?.prompt as string);
  const mask = Uint8Array.from([...prompt.map(() => 0), 1]);
  const rows = Array.from({ length: ARMS }, (_, arm) => ({ tokens: Uint32Array.from([...prompt, arm]), mask }));
  const tape = new Tape(decoder.device, { grad: false });
  try {
    return [...(await decoder.device.read(batchLogprobs(tape, decoder, collate(rows, ARMS)).logp))];
  } finally {
    tape.dispose();
  }
}

/**
 * J(π) = E[pay] - klCoef KL(π ‖ π_0) between that of the first policy, 0, and the optimum, 1. The optimum is klCoef · log Σ π_0 exp(pay / klCoef) at
 * π ∝ π_0 exp(pay / klCoef), and the best arm's pay where klCoef is 0.
 */
export function shareOfOptimum(logps: readonly number[], first: readonly number[], klCoef: number): number {
  const expected = (of: (arm: number) => number, under: readonly number[]) =>
    under.reduce((sum, logp, arm) => sum + Math.exp(logp) * of(arm), 0);
  const value = (under: readonly number[]) =>
    expected((arm) => (PAY[arm] as number) - klCoef * ((under[arm] as number) - (first[arm] as number)), under);
  const best = klCoef === 0 ? Math.max(...PAY) : klCoef * Math.log(expected((arm) => Math.exp((PAY[arm] as number) / klCoef), first));
  return (value(logps) - value(first)) / (best - value(first));
}
