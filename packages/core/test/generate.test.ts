/** Generation: what a completion is depends on its prompt, options and stream alone, and agrees with the training pass. */
import { expectClose } from "@trimtab/kernels/conformance";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterAll, expect, it } from "vitest";
import { Tape } from "../src/autograd/tape";
import { collate } from "../src/data/batch";
import { ConfigError, DataError } from "../src/errors";
import { generate, generateStream } from "../src/generate/generate";
import type { Completion, GenerateOptions } from "../src/generate/options";
import type { GenerationStats } from "../src/generate/stats";
import { batchLogprobs } from "../src/models/logprobs";
import { describeDevices } from "./devices";
import { gpt2Config, llamaConfig, prompt, randomDecoder } from "./generate-model";

const tokensOf = (completions: readonly Completion[]) => completions.map((c) => [...c.tokens]);

describeDevices("generate", (device, name) => {
  const isExact = name === "reference";
  const tolerance = { rtol: 0, atol: isExact ? 1e-5 : 1e-4 };
  const decoder = randomDecoder(device);
  const live = device.counters.liveBytes;
  /** Options of most tests; long enough for several blocks of positions and cache blocks. */
  const base = { model: { decoder }, maxNewTokens: 30, temperature: 0.9, seed: 7 };
  afterAll(() => decoder.dispose());

  /** The same completions; on f32 devices, where kernels may choose another order of summation by the number of rows, up to rounding. */
  function expectSame(got: readonly Completion[], expected: readonly Completion[], hint?: string): void {
    if (isExact) {
      expect(got, hint).toEqual(expected);
      return;
    }
    const discrete = (completions: readonly Completion[]) => completions.map(({ logps: _, ...rest }) => rest);
    expect(discrete(got), hint).toEqual(discrete(expected));
    expectClose(
      got.flatMap((c) => [...c.logps]),
      expected.flatMap((c) => [...c.logps]),
      tolerance,
    );
  }

  const prompts = [prompt(3), prompt(16, 1), prompt(20, 2), prompt(1, 3), prompt(33, 4)];

  it.each([
    ["llama, sampled", llamaConfig, { temperature: 0.7 }],
    [
      "llama, sampled with every truncation and a penalty",
      llamaConfig,
      { temperature: 1.3, topK: 20, topP: 0.9, minP: 0.02, repetitionPenalty: 1.2 },
    ],
    ["llama, greedy", llamaConfig, { temperature: 0 }],
    ["gpt2, sampled", gpt2Config, { temperature: 1 }],
  ] as const)("returns the training pass's log-probabilities: %s", async (_name, config, options) => {
    const model = config === llamaConfig ? decoder : randomDecoder(device, config);
    const completions = await generate({ ...base, model: { decoder: model }, prompts, n: 2, ...options });
    const sequences = completions.map(({ promptTokens, tokens }) => ({
      tokens: Uint32Array.from([...promptTokens, ...tokens]),
      mask: new Uint8Array(promptTokens.length + tokens.length).fill(1, promptTokens.length),
    }));
    const tape = new Tape(device, { grad: false });
    const { logp } = batchLogprobs(tape, model, collate(sequences, config.vocabSize), options.temperature || 1);
    const expected = await device.read(logp);
    tape.dispose();
    expectClose(
      completions.flatMap(({ logps }) => [...logps]),
      expected,
      tolerance,
    );
    if (model !== decoder) model.dispose();
  });

  it.each(
    isExact ? [{ temperature: 0.9 }, { temperature: 0 }, { temperature: 1, repetitionPenalty: 1.5, topP: 0.8 }] : [{ temperature: 0 }],
  )("gives a row the same tokens alone and in a batch, however the batch is run: %o", async (options) => {
    const all = { ...base, ...options, prompts, n: isExact ? 3 : 1 };
    const together = await generate(all);
    expect(new Set(tokensOf(together).map(String)).size).toBeGreaterThan(3);
    for (const [i, completion] of together.entries()) {
      const { promptIndex, sampleIndex, promptTokens } = completion;
      const [alone] = (await generate({ ...all, prompts: [promptTokens], n: 1, streams: Uint32Array.of(i) })) as [Completion];
      expectSame([{ ...alone, promptIndex, sampleIndex }], [completion]);
    }
    const cacheOfOneRow = 4 * 16 * 2 * 2 * 4 * 4 * 2;
    const few = [{ stepsPerRead: 1 }, { blockSize: 5 }, { cacheBytes: cacheOfOneRow }];
    const more = [{ stepsPerRead: 64 }, { blockSize: 1 }, { maxRows: 2 }, { prefillTokens: 1 }];
    for (const layout of isExact ? [...few, ...more] : few)
      expectSame(await generate({ ...all, ...layout }), together, JSON.stringify(layout));
  });

  it("shares a prompt's cache between its completions, and between equal prompts", async () => {
    const stats: GenerationStats[] = [];
    const onStats = (figures: GenerationStats) => stats.push(figures);
    const twenty = prompt(20);
    const shared = await generate({ ...base, prompts: [twenty, prompt(4), twenty], n: 2, onStats });
    const separate: Completion[] = [];
    for (const [i, completion] of shared.entries()) {
      separate.push(...(await generate({ ...base, prompts: [completion.promptTokens], streams: Uint32Array.of(i) })));
    }
    expect(tokensOf(shared)).toEqual(tokensOf(separate));
    expect(stats[0]).toMatchObject({ prefillTokens: 24, prefillPasses: 1, completions: 6, peakRows: 6 });
    // Four rows of 20 + 29 positions: 1 shared block and 3 own; two rows of 4 + 29: 3 own. 16 slots of 2 (key, value) × 8 floats in 2 layers.
    expect(stats[0]?.cacheBytes).toBe((1 + 4 * 3 + 2 * 3) * 16 * 2 * 8 * 4 * 2);
  });

  it("decodes more rows than one aligned window holds, while they leave", async () => {
    const options = { ...base, prompts: [prompt(5)], n: 70, eosTokenIds: [2, 10, 20, 30] };
    const completions = await generate(options);
    expect(completions.filter((c) => c.finishReason === "stop").length).toBeGreaterThan(20);
    expectSame(await generate({ ...options, maxRows: 30, stepsPerRead: 3 }), completions);
  });

  it("draws other tokens from other seeds and streams, and the same from the same", async () => {
    const run = (options: Partial<GenerateOptions>) => generate({ ...base, prompts: [prompt(5)], n: 2, ...options }).then(tokensOf);
    const first = await run({});
    expect(await run({})).toEqual(first);
    expect(first[0]).not.toEqual(first[1]);
    expect(await run({ seed: 8 })).not.toEqual(first);
    expect(await run({ seed: [7, 0] })).toEqual(first);
    expect(await run({ streams: Uint32Array.of(1, 0) })).toEqual([first[1], first[0]]);
  });

  it("goes on from a prompt and half its completion as it would have without the stop", async () => {
    const [whole] = (await generate({ ...base, prompts: [prompt(5)], eosTokenIds: [] })) as [Completion];
    const half = Uint32Array.from([...prompt(5), ...whole.tokens.slice(0, 13)]);
    const [rest] = (await generate({ ...base, prompts: [half], maxNewTokens: 17, eosTokenIds: [] })) as [Completion];
    expect([...rest.tokens]).toEqual([...whole.tokens.slice(13)]);
  });

  it.each([{ topK: 1 }, { topP: 1e-9 }, { minP: 1 }, { temperature: 1e-4 }])(
    "is greedy where only the likeliest token is left: %o",
    async (options) => {
      const greedy = await generate({ ...base, prompts, temperature: 0 });
      expect(tokensOf(await generate({ ...base, prompts, ...options }))).toEqual(tokensOf(greedy));
    },
  );

  it("ends a completion with its EOS token", async () => {
    const free = await generate({ ...base, prompts, n: 4, eosTokenIds: [] });
    expect(free.every((c) => c.tokens.length === 30 && c.finishReason === "length")).toBe(true);
    const ids = [free[0]?.tokens[0], free[1]?.tokens[11]] as [number, number];
    const ended = await generate({ ...base, prompts, n: 4, eosTokenIds: ids });
    ended.forEach((completion, i) => {
      const whole = free[i] as Completion;
      const at = whole.tokens.findIndex((token) => ids.includes(token));
      expect([...completion.tokens]).toEqual([...whole.tokens.slice(0, at < 0 ? 30 : at + 1)]);
      // f32 devices choose another matrix kernel when rows have left the batch
      expectClose(completion.logps, whole.logps.slice(0, completion.tokens.length), { rtol: 1e-5, atol: 1e-5 });
      expect(completion.finishReason).toBe(at < 0 ? "length" : "stop");
    });
    expect(ended[0]?.tokens.length).toBe(1);
    const own = await generate({ ...base, prompts, n: 4 });
    expect(own.some((c) => c.finishReason === "stop")).toBe(true);
    for (const c of own) expect(c.finishReason === "stop").toBe(c.tokens.at(-1) === 2);
  });

  it("cuts completions at the model's context", async () => {
    const lengths = [63, 60, 47, 48, 2];
    const completions = await generate({ ...base, prompts: lengths.map((length) => prompt(length)), maxNewTokens: 1000, eosTokenIds: [] });
    expect(completions.map((c) => c.tokens.length)).toEqual(lengths.map((length) => 64 - length));
    expect(completions.every((c) => c.finishReason === "length")).toBe(true);
  });

  it("never repeats a token under an overwhelming repetition penalty", async () => {
    const completions = await generate({ ...base, prompts, n: 2, temperature: 0, repetitionPenalty: 1e6, eosTokenIds: [9] });
    expect(new Set(completions.map((c) => c.tokens.length)).size).toBeGreaterThan(1);
    for (const { promptTokens, tokens } of completions)
      expect(new Set([...promptTokens, ...tokens]).size).toBe(new Set(promptTokens).size + tokens.length);
  });

  it("reads twice a block and spends few dispatches on a token", async () => {
    let stats: GenerationStats | undefined;
    let time = 0;
    const options = { ...base, prompts: [prompt(3), prompt(4)], maxNewTokens: 25, eosTokenIds: [], clock: () => time++ };
    await generate({ ...options, onStats: (s) => (stats = s) });
    // Per step: embedding, per layer 6 (head norm included), norm, head, sample. Prefill: rope and the cache's write by themselves, and one gather.
    const [perStep, forPrefill] = [4 + 2 * 6, 5 + 2 * 8];
    expect(stats).toMatchObject({ newTokens: 50, droppedTokens: 0, decodeSteps: 24, decodeBlocks: 3, readbacks: 2 * (1 + 3) });
    expect(stats?.dispatches).toBe(24 * perStep + forPrefill);
    expect(stats).toMatchObject({ prefillMs: 1, decodeMs: 3, tokensPerSecond: 50 / 0.004 });
  });

  it("returns nothing for no prompts", async () => {
    expect(await generate({ ...base, prompts: [] })).toEqual([]);
  });

  it("frees everything, also when stopped early or refused", async () => {
    await generate({ ...base, prompts, n: 2, repetitionPenalty: 1.1 });
    expect(device.counters.liveBytes).toBe(live);
    for await (const delta of generateStream({ ...base, prompts })) {
      expect(delta.completion).toBeUndefined();
      expect(device.counters.liveBytes).toBeGreaterThan(live);
      break;
    }
    expect(device.counters.liveBytes).toBe(live);
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(generate({ ...base, prompts, signal })).rejects.toThrow("enough");
    expect(device.counters.liveBytes).toBe(live);
  });

  // Elsewhere sizes are rounded up to the pool's size classes.
  if (isExact) {
    it("needs no more working memory for a deeper model", async () => {
      const working = async (layers: number) => {
        const own = createReferenceDevice();
        const model = { decoder: randomDecoder(own, { ...llamaConfig, layers }) };
        const before = own.counters.liveBytes;
        let cacheBytes = 0;
        await generate({ model, prompts: [prompt(40)], maxNewTokens: 4, onStats: (s) => (cacheBytes = s.cacheBytes) });
        return own.counters.peakBytes - before - cacheBytes;
      };
      expect(await working(6)).toBe(await working(2));
    });
  }

  it("gives every prompt its own limit", async () => {
    const whole = await generate({ ...base, prompts, eosTokenIds: [] });
    const limits = [30, 1, 9, 17, 64];
    const cut = await generate({ ...base, prompts, eosTokenIds: [], maxNewTokens: limits });
    // The last prompt has 33 tokens of a context of 64.
    expect(cut.map((c) => c.tokens.length)).toEqual([30, 1, 9, 17, 31]);
    cut.forEach((completion, i) => {
      expect([...completion.tokens].slice(0, 30)).toEqual([...(whole[i] as Completion).tokens].slice(0, limits[i]));
    });
    const twin = prompt(20);
    const twins = await generate({ ...base, prompts: [twin, twin], eosTokenIds: [], maxNewTokens: [2, 25], streams: Uint32Array.of(4, 4) });
    expect([...(twins[1] as Completion).tokens.subarray(0, 2)]).toEqual([...(twins[0] as Completion).tokens]);
    expect(() => generateStream({ ...base, prompts, maxNewTokens: [1, 2] })).toThrow(/`maxNewTokens`.*one for each of the 5 prompts/);
  });

  it("stops between blocks when its signal says so", async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const run = async () => {
      for await (const delta of generateStream({ ...base, prompts: [prompt(2)], eosTokenIds: [], signal: controller.signal })) {
        seen.push(delta.tokens.length);
        if (seen.length === 3) controller.abort(new Error("enough"));
      }
    };
    await expect(run()).rejects.toThrow("enough");
    expect(seen).toEqual([1, 8, 8]);
    expect(device.counters.liveBytes).toBe(live);
  });

  it("lists every bad option at once", () => {
    const bad = {
      n: 0,
      maxNewTokens: 1.5,
      temperature: -1,
      topK: -1,
      topP: 0,
      minP: 2,
      repetitionPenalty: 0,
      seed: -1,
      eosTokenIds: [70],
      stop: ["x"],
      maxRows: 0,
    };
    let error: unknown;
    try {
      generateStream({ ...base, prompts: ["text"], ...bad });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    for (const name of [...Object.keys(bad), "prompts"]) expect((error as Error).message).toContain(`\`${name}\``);
    expect(() => generateStream({ ...base, prompts, streams: Uint32Array.of(1) })).toThrow(
      /`streams` must be one for each of the 5 completions, got 1/,
    );
    expect(() => generateStream({ ...base, prompts, temperature: Number.NaN })).toThrow(/`temperature`.*got NaN/);
  });

  it("says which prompt cannot be run", async () => {
    const dispatches = device.counters.dispatches;
    await expect(generate({ ...base, prompts: [prompt(3), prompt(64)] })).rejects.toThrow(
      /context of 64 tokens, got 64 tokens in prompt 1/,
    );
    await expect(generate({ ...base, prompts: [prompt(3), prompt(64)] })).rejects.toBeInstanceOf(DataError);
    await expect(generate({ ...base, prompts: [new Uint32Array(0)] })).rejects.toThrow(/got none in prompt 0/);
    await expect(generate({ ...base, prompts: [Uint32Array.of(1, 70)] })).rejects.toThrow(
      /vocabulary size 70, got 70 at position 1 of prompt 0/,
    );
    expect(device.counters.dispatches).toBe(dispatches);
  });

  it("refuses a cache that cannot hold one completion", async () => {
    await expect(generate({ ...base, prompts: [prompt(20)], cacheBytes: 6000 })).rejects.toMatchObject({
      code: "OUT_OF_MEMORY",
      requestedBytes: 4 * 16 * 2 * 8 * 4 * 2,
      availableBytes: 2 * 16 * 2 * 8 * 4 * 2,
    });
  });
});
