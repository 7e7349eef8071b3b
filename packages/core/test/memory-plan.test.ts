/** Plans of memory against what training then takes, on the devices' own figures; fitting a budget; and refusals before any work. */
import { type Device, type DeviceMemory, MEMORY_KINDS, type MemoryKind, OutOfMemoryError } from "@trimtab/kernels";
import { createDryDevice } from "@trimtab/kernels/dry";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { describe, expect, it } from "vitest";
import { saveLanguageModel } from "../src";
import { fitMemory, requireMemory } from "../src/memory/fit-memory";
import { formatBytes, formatMemoryPlan } from "../src/memory/format-plan";
import { longestRows } from "../src/memory/longest-rows";
import { type MemoryPlan, type MemoryRequest, planMemory } from "../src/memory/plan-memory";
import type { DecoderConfig } from "../src/models/config";
import { Decoder } from "../src/models/decoder";
import { loadLanguageModel } from "../src/models/language-model";
import { newLora } from "../src/models/lora";
import { newScalarModel } from "../src/models/scalar-model";
import { a2c } from "../src/trainers/a2c";
import { dpo } from "../src/trainers/dpo";
import { gkd } from "../src/trainers/gkd";
import { grpo } from "../src/trainers/grpo";
import { kto } from "../src/trainers/kto";
import { onlineDpo } from "../src/trainers/online-dpo";
import { ppo } from "../src/trainers/ppo";
import { reinforce } from "../src/trainers/reinforce";
import { rewardModelFunction } from "../src/trainers/reward-model-function";
import { rloo } from "../src/trainers/rloo";
import { sft } from "../src/trainers/sft";
import { trpo } from "../src/trainers/trpo";
import { describeDevices } from "./devices";
import { MemoryDirectory } from "./fixture-files";
import { llamaConfig } from "./generate-model";
import { allOf, byteTokenizer } from "./trainer-model";

type Options = Record<string, unknown> & { readonly model: { readonly decoder: Decoder } };
type Trainer = (options: never) => AsyncIterable<unknown>;

const MIB = 2 ** 20;
const config: DecoderConfig = {
  ...llamaConfig,
  vocabSize: byteTokenizer.vocabSize,
  hiddenSize: 64,
  intermediateSize: 128,
  headDim: 16,
  layers: 3,
  headNorm: "none",
  maxPositions: 160,
  eosTokenIds: [byteTokenizer.eosTokenId as number],
};
/** Wider and shallower, with a tied head. */
const other: DecoderConfig = { ...config, hiddenSize: 96, intermediateSize: 200, layers: 2, headDim: 24, kvHeads: 4, tied: true };

const letters = (length: number, salt = 0) => Array.from({ length }, (_, i) => String.fromCharCode(97 + ((i * 7 + salt) % 26))).join("");
const prompts = Array.from({ length: 6 }, (_, i) => ({ prompt: letters(9 + i, i) }));
const pairs = Array.from({ length: 8 }, (_, i) => ({
  prompt: letters(10, i),
  chosen: letters(50 - i, i),
  rejected: letters(40 + i, i + 1),
}));
const texts = Array.from({ length: 12 }, (_, i) => ({ text: letters(100 - i, i) }));
const sampling = {
  prompts,
  rewards: ({ completions }: { completions: readonly unknown[] }) => completions.map((_, i) => i % 3),
  perDeviceTrainBatchSize: 8,
  numGenerations: 4,
  maxCompletionLength: 40,
};

const modelOf = (device: Device, shape: DecoderConfig, isAdapted = false) => {
  const decoder = new Decoder(device, shape);
  decoder.parameters.initialise(1);
  const adapted = isAdapted ? decoder.withAdapter(newLora(decoder, { r: 4, targetModules: "all-linear" })) : decoder;
  return { decoder: adapted, tokenizer: byteTokenizer };
};

const requestOf = (
  device: Device,
  train: Trainer,
  options: (on: Device) => object | Promise<object>,
  memoryBudget?: number,
): MemoryRequest<Options> => ({
  device: device.info,
  createDryDevice,
  train: train as MemoryRequest<Options>["train"],
  options: (on) => options(on) as Options | Promise<Options>,
  memoryBudget,
});

/** Bytes of a kind in a plan; what the device calls "other" holds rounding and fragments there as well. */
const planned = ({ parts }: MemoryPlan, kind: MemoryKind) => parts.reduce((sum, part) => sum + (part.kind === kind ? part.bytes : 0), 0);

function expectAsPlanned(plan: MemoryPlan, measured: DeviceMemory): void {
  // The scratch of the threads is there before anything else, and would hide what a small model takes.
  const [expected, peak] = [plan.peakBytes - MIB, measured.peakBytes - MIB];
  expect(peak / expected).toBeGreaterThan(0.9);
  expect(peak / expected).toBeLessThan(1.1);
  for (const kind of MEMORY_KINDS) {
    const own = kind === "scratch" ? measured.atPeak.scratch - MIB : measured.atPeak[kind];
    if (kind === "other" || own < peak / 20) continue;
    const ours = kind === "scratch" ? planned(plan, kind) - MIB : planned(plan, kind);
    expect(own / ours, kind).toBeGreaterThan(0.9);
    expect(own / ours, kind).toBeLessThan(1.1);
  }
}

const runs: Readonly<Record<string, [Trainer, (device: Device, shape: DecoderConfig) => object]>> = {
  sft: [sft, (device, shape) => ({ model: modelOf(device, shape), dataset: texts, perDeviceTrainBatchSize: 4 })],
  "sft, checkpointing": [
    sft,
    (device, shape) => ({ model: modelOf(device, shape), dataset: texts, perDeviceTrainBatchSize: 4, gradientCheckpointing: true }),
  ],
  "sft with an adapter": [sft, (device, shape) => ({ model: modelOf(device, shape, true), dataset: texts, perDeviceTrainBatchSize: 4 })],
  dpo: [dpo, (device, shape) => ({ model: modelOf(device, shape), dataset: pairs, perDeviceTrainBatchSize: 4 })],
  grpo: [grpo, (device, shape) => ({ ...sampling, model: modelOf(device, shape), beta: 0.1 })],
  ppo: [ppo, (device, shape) => ({ ...sampling, model: modelOf(device, shape) })],
};

/** Completions end by chance; none before the limit here, as in the plan. */
const withoutEnd = (options: object) =>
  "prompts" in options
    ? { ...options, model: { ...(options as unknown as Options).model, generationConfig: { eosTokenIds: [] } } }
    : options;

describe("a plan and what training then takes on wasm", () => {
  it.each(
    Object.entries(runs).flatMap(([name, run]) => [config, other].map((shape, i) => [`${name}, shape ${i + 1}`, run, shape] as const)),
  )("agree within a tenth: %s", async (_, [train, options], shape) => {
    const device = await createWasmDevice({ relaxed: false });
    const plan = await planMemory(requestOf(device, train, (on) => withoutEnd(options(on, shape))));
    expect(device.counters.dispatches).toBe(0);
    await allOf(train({ ...withoutEnd(options(device, shape)), maxSteps: 3 } as never));
    expect(plan.fits).toBe(true);
    expect(plan.parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(plan.peakBytes);
    expectAsPlanned(plan, device.memory());
    await device.destroy();
  });
});

describeDevices(
  "a plan and what training then takes",
  (device) => {
    it("agree within a tenth", async () => {
      const [train, options] = runs.sft as (typeof runs)[string];
      const plan = await planMemory(requestOf(device, train, (on) => options(on, config)));
      await allOf(train({ ...options(device, config), maxSteps: 2 } as never));
      const { peakBytes } = device.memory();
      expect(peakBytes / plan.peakBytes).toBeGreaterThan(0.9);
      expect(peakBytes / plan.peakBytes).toBeLessThan(1.1);
      expect(plan.budgetBytes).toBeUndefined();
    });
  },
  ["webgpu"],
);

describe("planning", () => {
  it("works for every way of training, and asks nobody for rewards", async () => {
    const device = await createWasmDevice({ relaxed: false });
    const never = () => {
      throw new Error("a reward was asked for");
    };
    const sampled = { ...sampling, rewards: [never] };
    const rows = pairs.map(({ prompt, chosen }, i) => ({ prompt, completion: chosen, label: i % 2 === 0 }));
    const trainers: [Trainer, (device: Device) => object][] = [
      [kto, () => ({ dataset: rows })],
      [gkd, (on) => ({ dataset: rows, teacher: modelOf(on, config), maxNewTokens: 8 })],
      [rloo, () => sampled],
      [reinforce, () => sampled],
      [a2c, () => sampled],
      [trpo, () => sampled],
      [onlineDpo, () => ({ ...sampled, numGenerations: 2, judge: never })],
      [
        ppo,
        (on) => {
          const rewardModel = newScalarModel(modelOf(on, config), 1);
          return { ...sampled, rewards: [never, rewardModelFunction(rewardModel)], valueModel: newScalarModel(modelOf(on, config), 2) };
        },
      ],
    ];
    for (const [train, options] of trainers) {
      const plan = await planMemory(requestOf(device, train, (on) => ({ model: modelOf(on, config), ...options(on) })));
      const weights = 4 * new Decoder(await createDryDevice(device.info), config).parameters.count;
      expect(plan.peakBytes, train.name).toBeGreaterThan(4 * weights);
    }
    await device.destroy();
  });

  it("reads config.json and the header of the weights, not the weights", async () => {
    const device = await createWasmDevice({ relaxed: false });
    const files = new MemoryDirectory();
    await saveLanguageModel({ ...modelOf(device, config), generationConfig: { eosTokenIds: undefined, json: {} } }, files);
    const weights = files.files.get("model.safetensors") as Uint8Array;
    // Nothing behind the header is a number any more.
    weights.fill(0xff, 8 + Number(new DataView(weights.buffer, weights.byteOffset).getBigUint64(0, true)));
    await expect(loadLanguageModel(device, files)).rejects.toThrow(/every weight must be finite/);
    const plan = await planMemory(requestOf(device, sft, async (on) => ({ model: await loadLanguageModel(on, files), dataset: texts })));
    const loaded = plan.parts.find(({ what }) => what === "weights of model");
    expect(loaded?.bytes).toBe(modelOf(device, config).decoder.parameters.byteLength);
    await device.destroy();
  });

  it("names what every model takes", async () => {
    const device = await createWasmDevice({ relaxed: false });
    const plan = await planMemory(
      requestOf(device, grpo, (on) => ({ ...sampling, model: modelOf(on, config, true), reference: modelOf(on, other) })),
    );
    expect(plan.parts.map(({ what }) => what)).toEqual(
      expect.arrayContaining([
        "weights of model",
        "adapter of model",
        "weights of reference",
        "gradients",
        "optimiser state",
        "activations",
      ]),
    );
    const lines = formatMemoryPlan(plan).split("\n");
    expect(lines.at(-2)).toMatch(/^peak +[\d.]+ MB$/);
    expect(lines.at(-1)).toMatch(/^fits: \d+% of 4.29 GB$/);
    expect([999, 1000, 999_499, 999_500, 1_234_567, 4 * 2 ** 30].map(formatBytes)).toEqual([
      ...["999 B", "1.00 kB", "999 kB", "1.00 MB", "1.23 MB", "4.29 GB"],
    ]);
    await device.destroy();
  });

  it("takes the rows of most bytes, in any script", () => {
    const rows = [
      { text: "ab" },
      { text: "字字" },
      { text: "abcde", solution: "long".repeat(9) },
      { prompt: [{ role: "user", content: "x" }] },
    ];
    expect(longestRows(rows, 2)).toEqual([rows[3], rows[1]]);
  });
});

describe("a budget", () => {
  const options = (on: Device) => ({ model: modelOf(on, config), dataset: texts, perDeviceTrainBatchSize: 8, maxSteps: 2 });

  it("is met by smaller micro-batches, with the same result, on a device that has no more", async () => {
    const large = await createWasmDevice({ relaxed: false });
    const budget = 6 * MIB;
    const fitted = await fitMemory(requestOf(large, sft, options, budget));
    expect(fitted.options.maxTokensPerMicroBatch).toBeGreaterThan(1);
    expect(fitted.plan.fits).toBe(true);
    const small = await createWasmDevice({ relaxed: false, maxMemoryBytes: budget });
    const losses = async (device: Device, more: object) =>
      (await allOf(sft({ ...options(device), ...more }))).map(({ metrics }) => metrics.loss as number);
    await expect(losses(small, {})).rejects.toBeInstanceOf(OutOfMemoryError);
    const fresh = await createWasmDevice({ relaxed: false, maxMemoryBytes: budget });
    const [whole, split] = [await losses(large, {}), await losses(fresh, fitted.options)];
    split.forEach((loss, step) => {
      expect(loss).toBeCloseTo(whole[step] as number, 5);
    });
    for (const device of [large, small, fresh]) await device.destroy();
  });

  it("turns checkpointing on where micro-batches would be too small, and changes nothing where all fits", async () => {
    const device = await createWasmDevice({ relaxed: false });
    const tight = await fitMemory(requestOf(device, sft, options, 4.6 * MIB));
    expect(tight.options.gradientCheckpointing).toBe(true);
    expect(await fitMemory(requestOf(device, sft, options))).toMatchObject({ options: {}, plan: { fits: true } });
    await device.destroy();
  });

  it("that cannot be met is refused with the shortfall and with remedies that were planned", async () => {
    const device = await createWasmDevice({ relaxed: false });
    const request = requestOf(device, sft, options, 3 * MIB);
    const error = await fitMemory(request).catch((reason: unknown) => reason as OutOfMemoryError);
    expect(error).toBeInstanceOf(OutOfMemoryError);
    const { message, requestedBytes, availableBytes } = error as OutOfMemoryError;
    expect(availableBytes).toBe(3 * MIB);
    expect(message).toContain(`${formatBytes(requestedBytes - availableBytes)} too much`);
    expect(message).toMatch(/an adapter \(usePeft, newLora\) besides: [\d.]+ MB, which fits/);
    await expect(requireMemory(requestOf(device, sft, options, 4.6 * MIB))).rejects.toThrow(
      /micro-batches of one row with gradientCheckpointing: [\d.]+ MB, which fits/,
    );
    await device.destroy();
  });
});
