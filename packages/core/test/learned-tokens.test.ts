/** The tokens that a step shows are those it learned from: log-probabilities of the policy that sampled, of the reference, and advantages. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, it } from "vitest";
import { Tape } from "../src/autograd/tape";
import { collate } from "../src/data/batch";
import type { Decoder } from "../src/models/decoder";
import { batchLogprobs } from "../src/models/logprobs";
import type { Experience, ScoredCompletion } from "../src/rl/scored-rollout";
import { learnedFrom } from "../src/rl/scored-rollout";
import { a2c } from "../src/trainers/a2c";
import { grpo } from "../src/trainers/grpo";
import { ppo } from "../src/trainers/ppo";
import { reinforce } from "../src/trainers/reinforce";
import { rloo } from "../src/trainers/rloo";
import { trpo } from "../src/trainers/trpo";
import { options } from "./grpo-run";
import { byteTokenizer, tinyModel } from "./trainer-model";

/** log π of the last tokens of a sequence, computed anew. */
async function logpsOf(decoder: Decoder, prompt: string, ids: Uint32Array, temperature: number): Promise<Float32Array> {
  const asked = byteTokenizer.encode(prompt);
  const tokens = Uint32Array.of(...asked, ...ids);
  const mask = Uint8Array.from(tokens, (_, i) => (i < asked.length ? 0 : 1));
  const tape = new Tape(decoder.device, { grad: false });
  const { logp } = batchLogprobs(tape, decoder, collate([{ tokens, mask }], decoder.config.vocabSize), temperature);
  const logps = (await decoder.device.read(logp)) as Float32Array;
  tape.dispose();
  return logps;
}

const device = createReferenceDevice();
const base = { ...options(), temperature: 0.8, numIterations: undefined };
const cases = {
  grpo: () => grpo({ ...base, beta: 0.1, numIterations: 2, ...models() }),
  "grpo, one step per round": () => grpo({ ...base, beta: 0.1, ...models() }),
  rloo: () => rloo({ ...base, ...models() }),
  "rloo, reused": () => rloo({ ...base, numIterations: 2, ...models() }),
  reinforce: () => reinforce({ ...base, beta: 0.1, ...models() }),
  "reinforce, KL in the loss": () => reinforce({ ...base, beta: 0.1, klPlacement: "loss", ...models() }),
  ppo: () => ppo({ ...base, numPpoEpochs: 2, ...models() }),
  a2c: () => a2c({ ...base, klCoef: 0.1, ...models() }),
  trpo: () => trpo({ ...base, klCoef: 0.1, ...models() }),
};
let model = tinyModel(device);
let reference = tinyModel(device, { seed: 9 });
function models() {
  model = tinyModel(device);
  reference = tinyModel(device, { seed: 9 });
  return { model, reference };
}

describe("tokens of a step's completions", () => {
  for (const [name, start] of Object.entries(cases)) {
    it(`are what ${name} learned from`, async () => {
      const run = start();
      const before = model.decoder.clone();
      const { value } = await run.next();
      await run.return();
      const completions = (value as { completions: readonly ScoredCompletion[] }).completions;
      expect(completions).toHaveLength(8);
      for (const { tokens, prompt, advantage } of completions) {
        const { ids, logps, refLogps, advantages } = tokens as NonNullable<typeof tokens>;
        const expected = await logpsOf(before, prompt as string, ids, 0.8);
        const expectedRefs = await logpsOf(reference.decoder, prompt as string, ids, 0.8);
        logps.forEach((logp, t) => {
          expect(logp).toBeCloseTo(expected[t] as number, 5);
        });
        expect(refLogps).toHaveLength(ids.length);
        refLogps?.forEach((logp, t) => {
          expect(logp).toBeCloseTo(expectedRefs[t] as number, 5);
        });
        expect(advantages.reduce((sum, a) => sum + a, 0) / ids.length).toBeCloseTo(advantage, 5);
      }
    });
  }

  it("come from the recorded log-probabilities where tokens count, and from the sampler elsewhere", () => {
    const completion = { prompt: "", completion: "", finishReason: "stop", rewards: {}, reward: 1, advantage: 0, extras: {} } as const;
    const experience: Experience = {
      rollout: {
        tokens: Uint32Array.of(7, 1, 2, 8, 3),
        offsets: Uint32Array.of(0, 3, 5),
        completionStarts: Uint32Array.of(1, 4),
        mask: Uint8Array.of(0, 1, 0, 0, 1),
        samplerLogps: Float32Array.of(0, -1, -2, 0, -3),
        ends: ["stop", "stop"],
      },
      advantages: Float32Array.of(0, 5, 0, 0, -6),
      oldLogps: Float32Array.of(0, -1.5, 0, 0, -3.5),
      refLogps: Float32Array.of(0, -1.25, 0, 0, -3.25),
      completions: [completion, completion],
      metrics: {},
    };
    expect(learnedFrom(experience, [1, 0]).map(({ tokens }) => tokens)).toEqual([
      { ids: Uint32Array.of(3), logps: Float32Array.of(-3.5), refLogps: Float32Array.of(-3.25), advantages: Float32Array.of(-6) },
      {
        ids: Uint32Array.of(1, 2),
        logps: Float32Array.of(-1.5, -2),
        refLogps: Float32Array.of(-1.25, Number.NaN),
        advantages: Float32Array.of(5, 0),
      },
    ]);
    const plain = learnedFrom({ ...experience, oldLogps: undefined, refLogps: undefined }, [0]);
    expect(plain[0]?.tokens).toMatchObject({ logps: Float32Array.of(-1, -2), refLogps: undefined });
  });
});
