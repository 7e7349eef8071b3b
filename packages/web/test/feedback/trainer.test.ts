/** The feedback trainer on an engine whose steps the test ends by hand. */
import type { EngineModel, EngineStep } from "@trimtab/core";
import { createFeedbackTrainer, FeedbackSession, feedbackItems } from "@trimtab/web";
import { describe, expect, it } from "vitest";

/** An engine that notes what it is asked and takes two steps a run, each when `finishStep` is called. */
function fakeEngine() {
  const asked: { algorithm: string; options: Record<string, unknown>; ended: boolean }[] = [];
  const running: ((step: EngineStep) => void)[] = [];
  let taken = 0;
  return {
    asked,
    isRunning: () => running.length > 0,
    finishStep() {
      const end = running.shift();
      if (!end) throw new Error("no step is running");
      taken++;
      end({ step: taken, maxSteps: 2, metrics: { loss: 1 / taken }, samples: [] });
    },
    async train(algorithm: string, options: object) {
      if ("beta" in options && options.beta === -1) throw new Error("beta must be above 0");
      const run = { algorithm, options: options as Record<string, unknown>, ended: false };
      asked.push(run);
      taken = 0;
      return {
        algorithm,
        maxSteps: 2,
        next: () =>
          taken === 2
            ? Promise.resolve({ done: true as const, value: undefined })
            : new Promise((resolve) => running.push((value) => resolve({ done: false, value }))),
        async return() {
          run.ended = true;
          return { done: true as const, value: undefined };
        },
        save: async () => {},
        [Symbol.asyncIterator]() {
          return this;
        },
      };
    },
  };
}

const model = { kind: "lm" } as unknown as EngineModel<string>;
const settle = () => new Promise((resolve) => setTimeout(resolve));

function setUp(minimumRows = 2, options: object = {}) {
  const engine = fakeEngine();
  const session = new FeedbackSession({
    items: Array.from({ length: 8 }, (_, i) => feedbackItems("pair", `${i} is`, [" even.", " odd."])).flat(),
  });
  const trainer = createFeedbackTrainer({
    engine: engine as never,
    model,
    session,
    algorithm: "dpo",
    minimumRows,
    options: { learningRate: 0.5, ...options },
  });
  const choose = (choice: 0 | 1 | "tie") => session.as("ann").answer({ kind: "pair", choice });
  const learnedFrom = (run: number) => engine.asked[run]?.options.dataset as { prompt: string; chosen: string }[];
  return { engine, session, trainer, choose, learnedFrom };
}

describe("createFeedbackTrainer", () => {
  it("waits for enough rows, trains on them in steps, and then waits for as many new ones", async () => {
    const { engine, trainer, choose, learnedFrom } = setUp();
    choose(0);
    choose("tie");
    await settle();
    expect(trainer.status).toMatchObject({ phase: "collecting", newRows: 1, learnedRows: 0, round: 0 });
    expect(engine.asked).toEqual([]);
    choose(1);
    await settle();
    expect(engine.asked.map(({ algorithm, options }) => [algorithm, options.model === model, options.learningRate])).toEqual([
      ["dpo", true, 0.5],
    ]);
    expect(learnedFrom(0).map(({ prompt, chosen }) => prompt + chosen)).toEqual(["0 is even.", "2 is odd."]);
    expect(trainer.status).toMatchObject({ phase: "training", newRows: 0, learnedRows: 2, round: 1, step: 0, maxSteps: 2 });
    engine.finishStep();
    await settle();
    expect(trainer.status).toMatchObject({ step: 1, metrics: { loss: 1 } });
    choose(0);
    choose(0);
    engine.finishStep();
    await settle();
    // The second round: only what is new.
    expect(engine.asked[0]?.ended).toBe(true);
    expect(learnedFrom(1).map(({ prompt }) => prompt)).toEqual(["3 is", "4 is"]);
    expect(trainer.status).toMatchObject({ phase: "training", learnedRows: 4, round: 2, step: 0 });
  });

  it("does not learn from an answer that was taken back before its round", async () => {
    const { engine, session, choose, learnedFrom } = setUp();
    choose(0);
    session.as("ann").undo();
    choose(1);
    await settle();
    expect(engine.asked).toEqual([]);
    choose(1);
    await settle();
    expect(learnedFrom(0).map(({ chosen }) => chosen)).toEqual([" odd.", " odd."]);
  });

  it("leaves out what was answered before it, where it is told to", async () => {
    const { session, choose } = setUp(9);
    choose(0);
    choose(0);
    const engine = fakeEngine();
    const common = { engine: engine as never, model, session, algorithm: "dpo", minimumRows: 2 } as const;
    const trainers = (["all", "new"] as const).map((answers) => createFeedbackTrainer({ ...common, answers }));
    await settle();
    expect(trainers.map(({ status }) => [status.learnedRows, status.newRows])).toEqual([
      [2, 0],
      [0, 0],
    ]);
    choose(1);
    expect(trainers[1]?.status.newRows).toBe(1);
  });

  it("pauses between two steps and goes on", async () => {
    const { engine, trainer, choose } = setUp();
    choose(0);
    choose(0);
    await settle();
    let isPaused = false;
    const pausing = trainer.pause().then(() => {
      isPaused = true;
    });
    await settle();
    expect([isPaused, trainer.status.phase]).toEqual([false, "paused"]);
    engine.finishStep();
    await pausing;
    await settle();
    expect([engine.isRunning(), trainer.status.phase, trainer.status.step]).toEqual([false, "paused", 1]);
    trainer.resume();
    await settle();
    expect([engine.isRunning(), trainer.status.phase]).toEqual([true, "training"]);
  });

  it("stops after the running step and ends the run", async () => {
    const { engine, trainer, choose } = setUp();
    const phases: string[] = [];
    trainer.subscribe(({ phase }) => phases.push(phase));
    choose(0);
    choose(0);
    await settle();
    const stopping = trainer.stop();
    engine.finishStep();
    await stopping;
    expect([engine.asked[0]?.ended, trainer.status.phase, phases.at(-1)]).toEqual([true, "stopped", "stopped"]);
    choose(0);
    choose(0);
    await settle();
    expect(engine.asked.length).toBe(1);
  });

  it("stops while it waits or is paused", async () => {
    const waiting = setUp();
    await waiting.trainer.stop();
    const paused = setUp();
    await paused.trainer.pause();
    await paused.trainer.stop();
    expect([waiting.trainer.status.phase, paused.trainer.status.phase]).toEqual(["stopped", "stopped"]);
  });

  it("hands on what the engine refuses", async () => {
    const { trainer, choose } = setUp(1, { beta: -1 });
    choose(0);
    await expect(trainer.done).rejects.toThrow("beta must be above 0");
    expect(trainer.status.phase).toBe("stopped");
    expect(() => setUp(0)).toThrow(/minimumRows must be a whole number from 1/);
  });
});
