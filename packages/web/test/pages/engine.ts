/** A page that trains through an engine, as applications do. */
import { createEngine, type Engine, type EngineInfo, type EngineOptions, type Place } from "@trimtab/web";
import { type RunName, type RunRecord, runOnEngine } from "../training-runs";

let engine: Engine<Place> | undefined;

const opened = (): Engine<Place> => {
  if (!engine) throw new Error("engine page: an engine must be open.");
  return engine;
};

const training = {
  async open(options: EngineOptions): Promise<EngineInfo> {
    engine = await createEngine(options);
    return engine.info;
  },
  run: (name: RunName): Promise<RunRecord> => runOnEngine(opened(), name),
  /** The log-probabilities of a completion under a new model; its vocabulary may be larger than the tokenizer's. */
  async logps(vocabSize: number): Promise<number[]> {
    const shape = { hiddenSize: 128, layers: 1, heads: 4, vocabSize };
    const model = await opened().newModel({ shape, texts: ["a rudder"], vocabSize: 257, seed: 1 });
    const tokens = await model.inspect({ prompt: "a ", completion: "rudder" });
    await model.dispose();
    return tokens.map(({ logp }) => logp);
  },
  /** Saves a new model in the browser's storage. */
  async save(): Promise<void> {
    const model = await opened().newModel({ shape: { hiddenSize: 32, layers: 1, heads: 4 }, texts: ["a"], vocabSize: 257, seed: 1 });
    try {
      await model.save({ storage: "models/test" });
    } finally {
      await model.dispose();
    }
  },
  async close(): Promise<void> {
    await engine?.close();
    engine = undefined;
  },
};

export type EnginePage = typeof training;

Object.assign(globalThis, { training });
