/// <reference types="node" />
/** Runs on an engine: what the trainers do, step by step; rewards and judges that stay on the application's thread. */
import { describe, expect, it } from "vitest";
import {
  ConfigError,
  DeviceError,
  type EngineAlgorithm,
  type EngineModel,
  type EngineStep,
  grpo,
  loadLanguageModel,
  pairwiseJudge,
  ppo,
  RewardError,
  type RewardFunction,
  rewardModelFunction,
  scalarModel,
} from "../src";
import { trainers } from "../src/engine/trainers";
import { type Disk, engineOpener, type TestEngine, thrownBy, tiny } from "./engine-host";
import { allOf } from "./trainer-model";

const start = engineOpener();

/** Any spread of rewards. */
const spread: RewardFunction = ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7);

const sampling = {
  prompts: [{ prompt: "ab" }, { prompt: "hello" }, { prompt: "x" }],
  rewards: spread,
  learningRate: 0.01,
  perDeviceTrainBatchSize: 8,
  maxCompletionLength: 4,
  maxSteps: 2,
} as const;
const preferences = [
  { prompt: "a", chosen: "few", rejected: "words" },
  { prompt: "are", chosen: "enough", rejected: "ab" },
];
const liked = [
  { prompt: "a", completion: "few", label: true },
  { prompt: "are", completion: "words", label: false },
];
const ranked = [{ prompt: "a", completions: ["few", "words", "x"], ranks: [2, 1, 3] }];
const steps = [{ prompt: "a", completions: ["few", "words"], labels: [true, false] }];
const demonstrations = [{ prompt: "a", completion: "few words" }];
const offline = { perDeviceTrainBatchSize: 2, maxSteps: 2 } as const;

/** A small run of every algorithm. */
const runs: { readonly [A in EngineAlgorithm]: (models: Record<"model" | "scorer" | "other", EngineModel<string>>) => object } = {
  sft: () => ({ ...offline, dataset: demonstrations }),
  reward: () => ({ ...offline, dataset: preferences }),
  prm: () => ({ ...offline, dataset: steps }),
  dpo: ({ other }) => ({ ...offline, dataset: preferences, reference: other }),
  "listwise-dpo": ({ other }) => ({ ...offline, dataset: ranked, reference: other }),
  "online-dpo": () => ({ ...sampling, rewards: undefined, judge: pairwiseJudge("half", (pairs) => pairs.map(() => 0.75)) }),
  kto: () => ({ ...offline, dataset: liked }),
  bco: () => ({ ...offline, dataset: liked }),
  orpo: () => ({ ...offline, dataset: preferences }),
  cpo: () => ({ ...offline, dataset: preferences }),
  gkd: ({ other }) => ({ ...offline, dataset: demonstrations, teacher: other, maxNewTokens: 4 }),
  ppo: ({ scorer, other }) => ({ ...sampling, valueModel: scorer, reference: other }),
  a2c: ({ scorer }) => ({ ...sampling, valueModel: scorer }),
  grpo: ({ other }) => ({ ...sampling, beta: 0.1, reference: other, numGenerations: 4 }),
  rloo: () => ({ ...sampling }),
  reinforce: () => ({ ...sampling }),
  trpo: () => ({ ...sampling, numGenerations: 4 }),
};

describe("a run", () => {
  it("is of every algorithm", async () => {
    const { engine, device } = await start();
    const base = await engine.newModel(tiny);
    const other = await engine.newModel({ ...tiny, seed: 8 });
    const scorer = await base.toRewardModel(1);
    const before = device.counters.liveBytes;
    for (const algorithm of Object.keys(trainers) as EngineAlgorithm[]) {
      const model = await (trainers[algorithm].head === "score" ? scorer : base).clone();
      const run = await engine.train(algorithm, { model, ...runs[algorithm]({ model, scorer, other }) } as never);
      expect([run.algorithm, run.maxSteps]).toEqual([algorithm, 2]);
      const taken: EngineStep[] = await allOf(run);
      expect(taken.map(({ step }) => step)).toEqual([1, 2]);
      const samples = taken.flatMap((step) => step.samples);
      expect(samples.length, algorithm).toBe("prompts" in runs[algorithm]({ model, scorer, other }) ? 16 : 0);
      await model.dispose();
      expect(device.counters.liveBytes, `${algorithm} frees what it used`).toBe(before);
    }
  });

  it("does what the library's trainer does, to the bit", async () => {
    const disk: Disk = new Map();
    const { engine, device } = await start(disk);
    const model = await engine.newModel(tiny);
    const scorer = await model.toRewardModel(1);
    await model.save("model");
    await scorer.save("scorer");
    const taken = await allOf(await engine.train("ppo", { ...sampling, model, valueModel: scorer, rewards: [spread, { model: scorer }] }));

    const own = await loadLanguageModel(device, disk.get("model") as never);
    const judge = scalarModel(await loadLanguageModel(device, disk.get("scorer") as never));
    const expected = await allOf(ppo({ ...sampling, model: own, valueModel: judge, rewards: [spread, rewardModelFunction(judge)] }));
    expect(taken.map(({ metrics }) => metrics)).toEqual(expected.map(({ metrics }) => metrics));
    expected.forEach(({ completions }, i) => {
      completions.forEach(({ prompt, completion, reward, rewards, advantage, tokens }, s) => {
        const sample = taken[i]?.samples[s];
        expect(sample).toMatchObject({ prompt, completion, reward, rewards, advantage });
        expect(sample?.tokens?.map(({ logp }) => logp)).toEqual([...(tokens?.logps ?? [])]);
        expect(sample?.tokens?.map(({ refLogp }) => refLogp)).toEqual([...(tokens?.refLogps ?? [])]);
        expect(sample?.tokens?.map((token) => token.advantage)).toEqual([...(tokens?.advantages ?? [])]);
      });
    });
    const bytes = await model.files();
    expect(await device.read(own.decoder.parameters.get("embedding").value)).toEqual(embeddingOf(bytes));
  });

  it("takes no step that is not asked for, and ends when its loop is left", async () => {
    const { engine, device } = await start();
    const model = await engine.newModel(tiny);
    const before = device.counters.liveBytes;
    let calls = 0;
    const rewards: RewardFunction = (args) => {
      calls += 1;
      return spread(args);
    };
    const run = await engine.train("grpo", { ...sampling, model, rewards, numGenerations: 4, maxSteps: 50 });
    await model.generate({ prompts: ["a"], maxNewTokens: 2 });
    expect(calls).toBe(0);
    for await (const { step } of run) {
      await model.generate({ prompts: ["a"], maxNewTokens: 2 });
      expect(calls).toBe(step);
      if (step === 2) break;
    }
    expect(await run.next()).toEqual({ done: true, value: undefined });
    expect(calls).toBe(2);
    expect(device.counters.liveBytes).toBe(before);

    const unused = await engine.train("sft", { ...offline, model, dataset: demonstrations });
    expect(device.counters.liveBytes).toBeGreaterThan(before);
    await unused.return();
    expect(device.counters.liveBytes).toBe(before);
  });

  it("takes turns with another one, and with other calls", async () => {
    const { engine } = await start();
    const [one, two] = [await engine.newModel(tiny), await engine.newModel(tiny)];
    const alone = await allOf(await engine.train("grpo", { ...sampling, model: await one.clone(), numGenerations: 4 }));
    const [first, second, completions] = await Promise.all([
      engine.train("grpo", { ...sampling, model: one, numGenerations: 4 }).then(allOf),
      engine.train("grpo", { ...sampling, model: two, numGenerations: 4 }).then(allOf),
      one.generate({ prompts: ["ab"], maxNewTokens: 8 }),
    ]);
    expect(first.map(({ metrics }) => metrics)).toEqual(alone.map(({ metrics }) => metrics));
    expect(second.map(({ metrics }) => metrics)).toEqual(alone.map(({ metrics }) => metrics));
    expect(completions).toHaveLength(1);
  });

  it("refuses a model that another run trains, and keeps those that it uses", async () => {
    const { engine } = await start();
    const model = await engine.newModel(tiny);
    const reference = await engine.newModel(tiny);
    const run = await engine.train("dpo", { ...offline, model, reference, dataset: preferences });
    expect(await thrownBy(engine.train("sft", { ...offline, model, dataset: demonstrations }))).toBeInstanceOf(ConfigError);
    expect(await thrownBy(reference.dispose())).toBeInstanceOf(ConfigError);
    expect(await thrownBy(engine.train("dpo", { ...offline, model: reference, reference, dataset: preferences }))).toBeInstanceOf(
      ConfigError,
    );
    await run.return();
    await reference.dispose();
    await allOf(await engine.train("sft", { ...offline, model, dataset: demonstrations }));
    await model.dispose();
  });

  it("is abandoned when its signal aborts", async () => {
    const { engine, device } = await start();
    const model = await engine.newModel(tiny);
    const before = device.counters.liveBytes;
    const controller = new AbortController();
    const reason = new Error("no more");
    const given: AbortSignal[] = [];
    const rewards: RewardFunction = ({ signal }) => {
      given.push(signal);
      controller.abort(reason);
      return new Promise(() => {});
    };
    const run = await engine.train("grpo", { ...sampling, model, rewards, numGenerations: 4, signal: controller.signal });
    expect(await thrownBy(run.next())).toBe(reason);
    expect(await run.next()).toEqual({ done: true, value: undefined });
    expect(device.counters.liveBytes).toBe(before);
    await expect.poll(() => given[0]?.aborted).toBe(true);
    expect(await thrownBy(engine.train("sft", { ...offline, model, dataset: demonstrations, signal: AbortSignal.abort(reason) }))).toBe(
      reason,
    );
  });

  /** A run whose first step waits for a reward, which `answer` gives. */
  const waiting = async (which: "rewards" | "judge") => {
    const one = await start();
    let answer: () => void = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let isAsked: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve;
    });
    const rewards: RewardFunction = async (args) => {
      isAsked();
      await answered;
      return spread(args);
    };
    const judge = pairwiseJudge("slow", async (pairs) => {
      isAsked();
      await answered;
      return pairs.map(() => 0.75);
    });
    const model = await one.engine.newModel(tiny);
    const before = one.device.counters.liveBytes;
    const run =
      which === "judge"
        ? await one.engine.train("online-dpo", { ...sampling, model, rewards: undefined, judge })
        : await one.engine.train("grpo", { ...sampling, model, rewards, numGenerations: 4 });
    const first = run.next();
    await asked;
    return { ...one, model, before, run, first, answer };
  };

  it("is asked for the next step, and to end, while a step waits for a reward", async () => {
    const { model, device, before, run, first, answer } = await waiting("rewards");
    const second = run.next();
    const ended = run.return();
    await model.generate({ prompts: ["a"], maxNewTokens: 1 });
    answer();
    expect((await first).value?.step).toBe(1);
    expect((await second).value?.step).toBe(2);
    expect(await ended).toEqual({ done: true, value: undefined });
    expect(device.counters.liveBytes).toBe(before);
  });

  it.each(["rewards", "judge"] as const)("ends, not lost, when its engine is closed while a step waits for %s", async (which) => {
    const { engine, first } = await waiting(which);
    let isLost = false;
    void engine.lost.then(() => {
      isLost = true;
    });
    const failed = thrownBy(first);
    await engine.close();
    expect(await failed).toBeInstanceOf(DeviceError);
    expect(isLost).toBe(false);
  });
});

describe("rewards of an engine's run", () => {
  const train = async ({ engine }: TestEngine, rewards: unknown, more: object = {}) => {
    const model = await engine.newModel(tiny);
    return engine.train("grpo", { ...sampling, numGenerations: 4, maxSteps: 1, model, ...more, rewards: rewards as RewardFunction });
  };

  it("run where they were written, with all that the library gives them", async () => {
    const seen: unknown[] = [];
    async function mine({
      prompts,
      completions,
      completionIds,
      trainerState,
      answer,
      logExtra,
      logMetric,
      signal,
    }: Parameters<RewardFunction>[0]) {
      seen.push({
        prompts,
        completions,
        answer,
        trainerState,
        lengths: completionIds.map(({ length }) => length),
        aborted: signal.aborted,
      });
      logMetric("mine/number", 4);
      logExtra("column", completions);
      return prompts.map((_, i) => (i === 0 ? null : i));
    }
    const prompts = [{ prompt: "ab", answer: "7" }];
    const one = await start();
    const taken = await allOf(await train(one, [mine, { rule: "length", options: { target: 3, name: "short" } }], { prompts }));
    const args = seen[0] as Record<string, unknown[]>;
    expect(seen).toHaveLength(1);
    expect(args.prompts).toEqual(new Array(8).fill("ab"));
    expect(args.answer).toEqual(new Array(8).fill("7"));
    expect(args.trainerState).toEqual({ globalStep: 0, maxSteps: 1, epoch: 0 });
    expect(args.aborted).toBe(false);
    expect(taken[0]?.samples.map(({ completion }) => completion)).toEqual(args.completions);
    expect(taken[0]?.samples.map(({ rewards }) => rewards.mine)).toEqual([null, 1, 2, 3, 4, 5, 6, 7]);
    expect(taken[0]?.metrics).toMatchObject({ "rewards/mine/mean": 4, "mine/number": 4 });
    expect(taken[0]?.metrics["rewards/short/mean"]).toBeTypeOf("number");
  });

  it("may ask the engine something themselves", async () => {
    const one = await start();
    const scorer = await (await one.engine.newModel(tiny)).toRewardModel(1);
    const asking: RewardFunction = ({ prompts, completions }) =>
      scorer.score(prompts.map((prompt, i) => ({ prompt, completion: completions[i] })));
    const twice: RewardFunction = async (args) => [...(await asking(args))].map((reward) => 2 * (reward as number));
    const [step] = await allOf(await train(one, [asking, twice, { model: scorer }]));
    const { "rewards/asking/mean": asked, "rewards/twice/mean": doubled, "rewards/reward_model/mean": judged } = step?.metrics ?? {};
    expect(asked).toBe(judged);
    expect(doubled).toBeCloseTo(2 * (judged as number), 6);
  });

  it("use a reward model's normalisation unless told not to", async () => {
    const one = await start();
    const scorer = await (await one.engine.newModel(tiny)).toRewardModel(1);
    const rows = [
      { prompt: "a", completion: "b" },
      { prompt: "few", completion: " words" },
    ];
    const { gain, bias } = await scorer.normalize(rows, { mean: 5, std: 2 });
    const [step] = await allOf(
      await train(one, [
        { model: scorer, name: "normal" },
        { model: scorer, name: "raw", normalize: false },
      ]),
    );
    expect(step?.metrics["rewards/normal/mean"]).toBeCloseTo(gain * (step?.metrics["rewards/raw/mean"] as number) + bias, 5);
  });

  it("fail as in the library", async () => {
    const failing: Record<string, RewardFunction> = {
      thrower() {
        throw new RangeError("out of range");
      },
      nan: ({ prompts }) => prompts.map(() => Number.NaN),
      few: () => [1],
      late: () => new Promise(() => {}),
      teller: ({ prompts }) => {
        throw new RewardError(`mine: no reward for ${prompts.length}.`);
      },
    };
    const one = await start();
    for (const [name, reward] of Object.entries(failing)) {
      const run = await train(one, reward, { rewardTimeoutMs: name === "late" ? 20 : 5000 });
      const error = (await thrownBy(run.next())) as Error;
      expect(error).toBeInstanceOf(RewardError);
      expect(error.message).toBe(await libraryMessage(reward, name === "late" ? 20 : 5000));
      if (name === "thrower") expect(error.cause).toMatchObject({ name: "RangeError", message: "out of range" });
      expect(await run.next()).toEqual({ done: true, value: undefined });
    }
    const skipped = await allOf(await train(one, [failing.thrower, spread], { onRewardError: "skip" }));
    expect(skipped[0]?.metrics.reward_failures).toBe(1);
  });

  it("must be able to cross", async () => {
    const one = await start();
    const { engine } = one;
    const model = await engine.newModel(tiny);
    expect(await thrownBy(train(one, { rule: "none" }))).toBeInstanceOf(ConfigError);
    expect(await thrownBy(train(one, { model }))).toBeInstanceOf(ConfigError);
    expect(await thrownBy(train(one, spread, { rolloutFunction: () => [] }))).toBeInstanceOf(ConfigError);
  });
});

/** What the library itself says of a reward that fails. */
async function libraryMessage(rewards: RewardFunction, rewardTimeoutMs: number): Promise<string> {
  const disk: Disk = new Map();
  const { engine, device } = await start(disk);
  await (await engine.newModel(tiny)).save("model");
  const model = await loadLanguageModel(device, disk.get("model") as never);
  const run = grpo({ ...sampling, numGenerations: 4, maxSteps: 1, model, rewards, rewardTimeoutMs });
  return ((await thrownBy(run.next())) as Error).message;
}

/** The embedding in a model directory's files. */
function embeddingOf(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Float32Array {
  const { buffer } = files.get("model.safetensors") as Uint8Array<ArrayBuffer>;
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const [begin, end] = header["model.embed_tokens.weight"].data_offsets;
  return new Float32Array(buffer.slice(8 + length + begin, 8 + length + end));
}
