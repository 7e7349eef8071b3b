/** Continuous batching: what a request gets is its own, whoever comes and goes beside it; prefixes are shared; nothing leaks. */
import fc from "fast-check";
import { afterAll, afterEach, expect, it } from "vitest";
import { BusyError, ConfigError } from "../src/errors";
import { type CompletionDelta, generate } from "../src/generate/generate";
import type { Completion } from "../src/generate/options";
import { type ScheduledRequest, Scheduler, type SchedulerOptions } from "../src/generate/scheduler";
import { turnOfTheLoop } from "../src/turn-of-the-loop";
import { describeDevices } from "./devices";
import { prompt, randomDecoder } from "./generate-model";

/** Both give the same bits whatever else is in the batch. */
describeDevices(
  "the scheduler",
  (device, name) => {
    const decoder = randomDecoder(device);
    const live = device.counters.liveBytes;
    const open: Scheduler[] = [];
    const scheduler = (options: Partial<SchedulerOptions> = {}) => {
      const made = new Scheduler({ model: { decoder }, blockSize: 4, ...options });
      open.push(made);
      return made;
    };
    afterEach(async () => {
      for (const each of open.splice(0)) await each.close();
      expect(device.counters.liveBytes).toBe(live);
    });
    afterAll(() => decoder.dispose());

    async function collect(stream: AsyncIterable<CompletionDelta>): Promise<Completion[]> {
      const completions: Completion[] = [];
      for await (const { completion } of stream) if (completion) completions.push(completion);
      return completions.sort((a, b) => a.promptIndex - b.promptIndex || a.sampleIndex - b.sampleIndex);
    }

    const beginnings = [prompt(9), prompt(17, 1), prompt(26, 2)];
    const request = fc.record({
      prompts: fc.array(
        fc
          .tuple(fc.constantFrom(...beginnings), fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 4 }))
          .map(([beginning, length, salt]) => Uint32Array.from([...beginning, ...prompt(length, salt)])),
        { minLength: 1, maxLength: 2 },
      ),
      n: fc.integer({ min: 1, max: 3 }),
      maxNewTokens: fc.integer({ min: 1, max: 14 }),
      temperature: fc.constantFrom(0, 0.7, 1.3),
      topK: fc.constantFrom(0, 5),
      topP: fc.constantFrom(1, 0.8),
      repetitionPenalty: fc.constantFrom(1, 1.3),
      seed: fc.integer({ min: 0, max: 99 }),
      topLogprobs: fc.constantFrom(0, 0, 0, 2),
    });
    const arrival = fc.record({ request, turns: fc.integer({ min: 0, max: 6 }), leavesAfter: fc.option(fc.integer({ min: 1, max: 5 })) });

    it("gives a request the same bits alone and among others that come and go", async () => {
      const alone = async (one: ScheduledRequest) => {
        const only = new Scheduler({ model: { decoder }, blockSize: 4 });
        const completions = await collect(only.generate(one));
        await only.close();
        return completions;
      };
      await fc.assert(
        fc.asyncProperty(
          fc.array(arrival, { minLength: 2, maxLength: 7 }),
          fc.record({
            maxRows: fc.integer({ min: 2, max: 9 }),
            stepsPerRead: fc.constantFrom(1, 3),
            prefillTokens: fc.constantFrom(1, 60, 512),
          }),
          // Room for one long completion, or for all.
          fc.constantFrom(16, 40, 200),
          async (arrivals, options, blocks) => {
            const shared = new Scheduler({ model: { decoder }, blockSize: 4, ...options, cacheBytes: blocks * 4 * 2 * 8 * 4 * 2 });
            const results: Promise<Completion[] | undefined>[] = [];
            for (const { request: one, turns, leavesAfter } of arrivals) {
              for (let turn = 0; turn < turns; turn++) await turnOfTheLoop();
              const stream = shared.generate(one);
              results.push(leavesAfter === null ? collect(stream) : leave(stream, leavesAfter));
            }
            const got = await Promise.all(results);
            await shared.close();
            for (const [i, { request: one }] of arrivals.entries()) if (got[i]) expect(got[i]).toEqual(await alone(one));
          },
        ),
        { numRuns: name === "reference" ? 12 : 40, seed: 5 },
      );
    });

    /** Reads some deltas and goes away. */
    async function leave(stream: AsyncGenerator<CompletionDelta>, after: number): Promise<undefined> {
      let read = 0;
      for await (const _ of stream) if (++read === after) break;
      return undefined;
    }

    it("gives what generate gives", async () => {
      const one = { prompts: [prompt(20), prompt(7, 1)], n: 2, maxNewTokens: 20, seed: 3, temperature: 0.8 };
      const expected = await generate({ model: { decoder }, ...one });
      const got = await collect(scheduler().generate(one));
      expect(got.map(({ tokens, text, finishReason }) => ({ tokens, text, finishReason }))).toEqual(
        expected.map(({ tokens, text, finishReason }) => ({ tokens, text, finishReason })),
      );
    });

    it("generate gives a row the same bits alone and in a batch", async () => {
      const prompts = [prompt(3), prompt(16, 1), prompt(40, 2)];
      const options = { model: { decoder }, maxNewTokens: 12, temperature: 0.9, seed: 7 };
      const together = await generate({ ...options, prompts });
      for (const [i, { tokens, logps }] of together.entries()) {
        const [alone] = await generate({ ...options, prompts: [prompts[i] as Uint32Array], streams: Uint32Array.of(i) });
        expect(alone).toMatchObject({ tokens, logps });
      }
    });

    it("computes a beginning once, also after those who asked for it have gone", async () => {
      const shared = scheduler();
      const system = prompt(22);
      const asking = (salt: number) => ({ prompts: [Uint32Array.from([...system, ...prompt(5, salt)])], maxNewTokens: 4 });
      await Promise.all([1, 2].map((salt) => collect(shared.generate(asking(salt)))));
      // Five full blocks of four; the second request finds them in the pass that computes them.
      expect(shared.stats).toMatchObject({ prefillTokens: 27 + 7, cachedTokens: 20 });
      await collect(shared.generate(asking(3)));
      expect(shared.stats).toMatchObject({ prefillTokens: 27 + 7 + 7, cachedTokens: 40, running: 0, waiting: 0 });
      const apart = scheduler({ sharePrefixes: false });
      await Promise.all([1, 2].map((salt) => collect(apart.generate(asking(salt)))));
      expect(apart.stats).toMatchObject({ prefillTokens: 54, cachedTokens: 0 });
    });

    it("never computes nothing: of a prompt that it knows whole, the last block again", async () => {
      const shared = scheduler();
      const whole = { prompts: [prompt(16)], maxNewTokens: 3, temperature: 0 };
      const first = await collect(shared.generate(whole));
      expect(await collect(shared.generate(whole))).toEqual(first);
      expect(shared.stats).toMatchObject({ prefillTokens: 16 + 4, cachedTokens: 12 });
    });

    it("gives up the longest unused prefixes where room is needed", async () => {
      // 14 blocks of 4: one row of 40 + 8 positions takes 12.
      const shared = scheduler({ cacheBytes: 14 * 4 * 2 * 8 * 4 * 2 });
      const run = (salt: number) => collect(shared.generate({ prompts: [prompt(40, salt)], maxNewTokens: 8, temperature: 0 }));
      const [first] = await run(1);
      await run(2);
      const [again] = await run(1);
      expect(again?.tokens).toEqual(first?.tokens);
      expect(shared.stats.prefillTokens).toBeGreaterThan(80);
    });

    it("runs as many as fit and lets the others wait", async () => {
      const shared = scheduler({ maxRows: 2 });
      const results = await Promise.all(
        Array.from({ length: 5 }, (_, salt) => collect(shared.generate({ prompts: [prompt(6, salt)], maxNewTokens: 6, eosTokenIds: [] }))),
      );
      expect(results.map(([completion]) => completion?.tokens.length)).toEqual([6, 6, 6, 6, 6]);
      expect(shared.stats).toMatchObject({ peakRows: 2, newTokens: 30 });
    });

    it("reports the likeliest tokens, whose probabilities sum to 1 over the vocabulary", async () => {
      const [completion] = await collect(
        scheduler().generate({ prompts: [prompt(6)], maxNewTokens: 5, temperature: 0.7, topLogprobs: 70, eosTokenIds: [] }),
      );
      expect(completion?.topLogprobs).toHaveLength(5);
      completion?.topLogprobs?.forEach((top, t) => {
        expect(top.reduce((sum, { logp }) => sum + Math.exp(logp), 0)).toBeCloseTo(1, 5);
        expect(top.map(({ logp }) => logp)).toEqual(top.map(({ logp }) => logp).toSorted((a, b) => b - a));
        expect(top.find(({ token }) => token === completion.tokens[t])?.logp).toBe(completion.logps[t]);
      });
    });

    it("refuses at once what can never be, and what is too much for now", async () => {
      const small = scheduler({ cacheBytes: 8 * 4 * 2 * 8 * 4 * 2, maxRows: 1, maxWaiting: 1 });
      expect(() => small.generate({ prompts: [prompt(40)] })).toThrow(expect.objectContaining({ code: "OUT_OF_MEMORY" }));
      expect(() => small.generate({ prompts: [prompt(4)], temperature: -1 })).toThrow(/^Scheduler.generate: `temperature` must be/);
      expect(() => small.generate({ prompts: [prompt(64)] })).toThrow(/context of 64 tokens, got 64 tokens/);
      const running = [0, 1].map((salt) => collect(small.generate({ prompts: [prompt(4, salt)], maxNewTokens: 2 })));
      expect(() => small.generate({ prompts: [prompt(4, 2)], maxNewTokens: 2 })).toThrow(BusyError);
      await Promise.all(running);
      await collect(small.generate({ prompts: [prompt(4, 2)], maxNewTokens: 2 }));
      expect(() => scheduler({ cacheBytes: 1 })).toThrow(ConfigError);
    });

    it("takes out what is aborted, waiting or running, and goes on with the rest", async () => {
      const shared = scheduler({ maxRows: 2 });
      const controllers = [new AbortController(), new AbortController(), new AbortController()];
      const long = { maxNewTokens: 50, eosTokenIds: [] };
      const results = controllers.map(({ signal }, salt) => collect(shared.generate({ prompts: [prompt(6, salt)], ...long, signal })));
      for (let turn = 0; turn < 4; turn++) await turnOfTheLoop();
      expect(shared.stats).toMatchObject({ running: 2, waiting: 1 });
      controllers[0]?.abort(new Error("enough"));
      controllers[2]?.abort(new Error("never mind"));
      await expect(results[0]).rejects.toThrow("enough");
      await expect(results[2]).rejects.toThrow("never mind");
      expect((await results[1])?.[0]?.tokens).toHaveLength(50);
      expect(shared.stats).toMatchObject({ running: 0, waiting: 0 });
      expect(() => shared.generate({ prompts: [prompt(6)], signal: AbortSignal.abort(new Error("late")) })).toThrow("late");
    });

    it("ends open requests when it is closed", async () => {
      const shared = scheduler();
      const result = collect(shared.generate({ prompts: [prompt(6)], maxNewTokens: 50, eosTokenIds: [] }));
      await turnOfTheLoop();
      await Promise.all([shared.close(), expect(result).rejects.toThrow(/one that was closed/)]);
      open.splice(0);
      expect(() => shared.generate({ prompts: [prompt(6)] })).toThrow(/one that was closed/);
    });
  },
  ["reference", "wasm"],
);
