/** A page that trains through an engine, as applications do. */
import { createEngine, type Engine, type EngineInfo, type EngineOptions, type Place } from "@trimtab/web";
import { type RunName, type RunRecord, runOnEngine } from "../training-runs";

let engine: Engine<Place> | undefined;

const training = {
  async open(options: EngineOptions): Promise<EngineInfo> {
    engine = await createEngine(options);
    return engine.info;
  },
  async run(name: RunName): Promise<RunRecord> {
    if (!engine) throw new Error("engine page: an engine must be open.");
    return runOnEngine(engine, name);
  },
  async close(): Promise<void> {
    await engine?.close();
  },
};

export type EnginePage = typeof training;

Object.assign(globalThis, { training });
