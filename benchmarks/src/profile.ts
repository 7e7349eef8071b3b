/** Where the time of a training step and of a GRPO step goes, by phase and op, against the machine's ceilings. */
import {
  Decoder,
  type Device,
  type Flame,
  formatProfile,
  generate,
  grpo,
  type OpProfile,
  type Profile,
  type ProfiledDevice,
  profiled,
  profileFlame,
  profileTable,
  type Table,
  Tokenizer,
} from "@trimtab/core";
import { boundMs, type Ceilings } from "./measure/ceilings";
import { type Section, significant, type Target } from "./measure/section";
import { type LlamaShape, llamaConfig, llamaShapesFor, type ShapeChoice } from "./measure/shapes";
import { makeTrainingStep } from "./measure/training-step";
import { speeches } from "./text";

/** One profiled piece of work. */
export interface ProfiledRun {
  readonly name: string;
  readonly text: string;
  readonly flame: Flame;
  readonly table: Table;
  readonly section: Section;
}

const PROMPTS = 4;
/** Samples a prompt: all of a group share its prefill. */
const GROUP = 8;
const PROMPT_TOKENS = 32;
const NEW_TOKENS = 64;
/** The phase of decoding without a trainer, which is no part of a step. */
const ALONE = "decoding alone";

/** The training step of each shape, then a GRPO step of each. The device runs on; it is wrapped here. */
export async function* profileSteps(device: Device, ceilings: Ceilings | undefined, options: ShapeChoice): AsyncGenerator<ProfiledRun> {
  const bound = ceilings && ((cost: Parameters<typeof boundMs>[1]) => boundMs(ceilings, cost));
  const timed = profiled(device, { now: () => performance.now(), bound });
  const shapes = llamaShapesFor(device, options);
  const steps = options.quick || device.info.software ? 2 : 10;
  for (const shape of shapes) yield profileTraining(timed, shape, steps);
  for (const shape of shapes) yield profileGrpo(timed, shape, Math.ceil(steps / 2));
}

async function profileTraining(device: ProfiledDevice, shape: LlamaShape, steps: number): Promise<ProfiledRun> {
  const step = makeTrainingStep(device, llamaConfig(shape), shape.B, shape.T);
  await step.run();
  await device.sync();
  device.profiler.reset();
  for (let i = 0; i < steps; i++) await step.run();
  await device.sync();
  const profile = device.profiler.take();
  step.dispose();
  const products = (100 * productMs(profile.phases.flatMap(({ ops }) => ops))) / profile.ms;
  const what = `training step, ${shape.name}: time in matrix products and attention`;
  const targets = device.info.software ? [] : [{ what, target: 75, measured: products, unit: " %" }];
  return runOf(`training step, ${shape.name}`, device, profile, steps, [], targets);
}

/** Groups of 8 that share a prompt, a reward that costs nothing, one optimiser step a round. */
async function profileGrpo(device: ProfiledDevice, shape: LlamaShape, steps: number): Promise<ProfiledRun> {
  const tokenizer = Tokenizer.train([speeches().slice(0, 200_000)], { vocabSize: shape.V });
  const decoder = new Decoder(device, { ...llamaConfig(shape), vocabSize: tokenizer.vocabSize, eosTokenIds: [] });
  decoder.parameters.initialise(1);
  const words = speeches().slice(200_000, 400_000);
  // The first compile pipelines, grow memory, and run JavaScript that is not optimised yet.
  const warmUp = device.info.software ? 1 : 3;
  const prompts = Array.from({ length: PROMPTS * (warmUp + steps) }, (_, i) => ({
    prompt: tokenizer.decode(tokenizer.encode(words.slice(i * 400, (i + 1) * 400)).slice(0, PROMPT_TOKENS)),
  }));
  let taken = 0;
  const run = grpo({
    model: { decoder, tokenizer },
    prompts,
    rewards: [({ completionIds }) => completionIds.map((ids) => ids.filter((id) => id % 2 === 0).length / ids.length)],
    numGenerations: GROUP,
    perDeviceTrainBatchSize: PROMPTS * GROUP,
    maxCompletionLength: NEW_TOKENS,
    maxSteps: warmUp + steps,
    learningRate: 1e-4,
  });
  const encoded = prompts.slice(0, PROMPTS).map(({ prompt }) => Uint32Array.from(tokenizer.encode(prompt)));
  const nothing = { tokens: 0, decodeMs: 0, ms: 0 };
  const alone = { ...nothing };
  const decode = (seed: number) =>
    generate({
      model: { decoder },
      prompts: encoded,
      n: GROUP,
      maxNewTokens: NEW_TOKENS,
      temperature: 1,
      eosTokenIds: [],
      seed,
      clock: () => performance.now(),
      onStats: ({ newTokens, decodeMs = Number.NaN }) => {
        alone.tokens += newTokens;
        alone.decodeMs += decodeMs;
      },
    });
  for await (const _ of run) {
    await device.sync();
    // In turns with the steps, so that a slow spell hits both: a mean beside a mean.
    const start = performance.now();
    await device.profiler.within(ALONE, () => decode(taken));
    alone.ms += performance.now() - start;
    if (++taken !== warmUp) continue;
    device.profiler.reset();
    Object.assign(alone, nothing);
  }
  const profile = without(device.profiler.take(), ALONE, alone.ms);
  decoder.dispose();
  const decodeRate = (1000 * alone.tokens) / alone.decodeMs;
  const rollout = profile.phases.find(({ name }) => name === "rollout");
  const tokens = steps * PROMPTS * GROUP * NEW_TOKENS;
  const rate = (1000 * tokens) / (rollout?.ms ?? Number.NaN);
  const notes = [
    `rollout of ${PROMPTS} groups of ${GROUP}, ${PROMPT_TOKENS} + ${NEW_TOKENS} tokens: ${significant(rate)} tokens/s, ${((100 * rate) / decodeRate).toFixed(0)} % of decoding alone, ${significant(decodeRate)} (target 90)`,
  ];
  const what = `GRPO rollout, ${shape.name}: tokens per second, of decoding alone`;
  const targets = device.info.software ? [] : [{ what, target: 90, measured: (100 * rate) / decodeRate, unit: " %" }];
  return runOf(`GRPO step, ${shape.name}`, device, profile, steps, notes, targets);
}

/** Leaves out a phase that took `hostMs`. Where the device runs behind the host's back, what of them was not the device's is in the rest. */
function without({ ms, phases }: Profile, name: string, hostMs: number): Profile {
  const gone = phases.find((phase) => phase.name === name);
  const waitedMs = hostMs - (gone?.ms ?? 0);
  const left = phases
    .filter((phase) => phase !== gone)
    .map((phase) => (phase.name === "host and waiting" ? { ...phase, ms: phase.ms - waitedMs } : phase));
  return { ms: ms - hostMs, phases: left.sort((a, b) => b.ms - a.ms) };
}

function runOf(
  name: string,
  device: Device,
  profile: Profile,
  steps: number,
  notes: readonly string[],
  targets: readonly Target[],
): ProfiledRun {
  const table = profileTable(profile, steps);
  return {
    name,
    text: formatProfile(profile, steps),
    flame: { ...profileFlame(profile, steps), title: name },
    table: { ...table, title: name },
    section: {
      title: `Phases of a ${name}, on ${device.info.name}`,
      columns: ["phase", "ms", "%", "% of it in matrix products and attention"],
      rows: [
        ...profile.phases.map(({ name: phase, ms, ops }) => [phase, ms / steps, (100 * ms) / profile.ms, (100 * productMs(ops)) / ms]),
        ["all", profile.ms / steps, 100, (100 * productMs(profile.phases.flatMap(({ ops }) => ops))) / profile.ms],
      ],
      notes,
      targets,
    },
  };
}

/** Matrix products, attention, and the loss, which is a matrix product. */
function productMs(ops: readonly OpProfile[]): number {
  const products = ops.filter(({ name }) =>
    /^(normed_)?matmul_|^packed_weight_|attention|^kv_cache_(attend|extend)|^token_logprob_(forward|backward)/.test(name),
  );
  return products.reduce((sum, { ms }) => sum + ms, 0);
}
