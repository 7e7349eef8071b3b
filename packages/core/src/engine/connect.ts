/** Connecting to an engine that another thread serves. */
import type { FittedMemory } from "../memory/fit-memory";
import type { AbortSignalLike, EngineAlgorithm, EngineTrainingOptions } from "./algorithms";
import { ClientModel } from "./client-model";
import { ClientRun } from "./client-run";
import { Connection, type EngineThread } from "./connection";
import { cross } from "./crossing";
import type { Engine, EngineInfo, EngineLoadOptions, EngineModel, EngineRun } from "./engine";
import type { EngineEndpoint, ModelRecord } from "./protocol";

/** The engine on the other end of `endpoint`. Throws what opening the device throws, and DeviceError where the thread does not start. */
export async function connectEngine<Place>(endpoint: EngineEndpoint, thread: EngineThread): Promise<Engine<Place>> {
  const connection = new Connection(endpoint, thread);
  try {
    return new ClientEngine(connection, await connection.ask("open", connection.caller));
  } catch (error) {
    await thread.terminate();
    throw error;
  }
}

class ClientEngine<Place> implements Engine<Place> {
  readonly info: EngineInfo;
  readonly lost: Promise<Error>;
  readonly #connection: Connection;

  constructor(connection: Connection, info: EngineInfo) {
    this.#connection = connection;
    this.info = info;
    this.lost = connection.lost;
  }

  async loadModel(from: Place, { onProgress, ...precision }: EngineLoadOptions = {}): Promise<EngineModel<Place>> {
    const connection = this.#connection;
    let loaded: ModelRecord | undefined;
    try {
      const record = await connection.askWhileTelling(onProgress, connection.newJob(), async (listener) => {
        loaded = await connection.ask("loadModel", from, precision, listener);
        return loaded;
      });
      return new ClientModel(connection, record);
    } catch (error) {
      // The listener threw: nobody will hold the model. An engine that is lost meanwhile has freed it.
      if (loaded) await connection.ask("disposeModel", loaded.id).catch(() => {});
      throw error;
    }
  }

  async newModel(options: Parameters<Engine<Place>["newModel"]>[0]): Promise<EngineModel<Place>> {
    return new ClientModel(this.#connection, await this.#connection.ask("newModel", options));
  }

  async train<A extends EngineAlgorithm>(
    algorithm: A,
    options: EngineTrainingOptions<A, EngineModel<Place>, Place>,
    resumeFrom?: Place,
  ): Promise<EngineRun<Place>> {
    const connection = this.#connection;
    const { signal } = options as { readonly signal?: AbortSignalLike | undefined };
    const job = connection.newJob();
    const { training, functions } = cross(connection, job, algorithm, options as Parameters<typeof cross>[3], resumeFrom);
    const stop = connection.abortWith(signal, job);
    const onEnd = () => {
      stop();
      for (const id of functions) connection.functions.remove(id);
    };
    try {
      if (signal?.aborted) throw signal.reason;
      const { run, maxSteps } = await connection.ask("train", training);
      return new ClientRun(connection, { algorithm, run, maxSteps, signal, onEnd });
    } catch (error) {
      onEnd();
      throw signal?.aborted ? signal.reason : error;
    }
  }

  async planMemory<A extends EngineAlgorithm>(
    algorithm: A,
    options: EngineTrainingOptions<A, EngineModel<Place>, Place>,
    { memoryBudget, fit = false }: { readonly memoryBudget?: number | undefined; readonly fit?: boolean | undefined } = {},
  ): Promise<FittedMemory> {
    const connection = this.#connection;
    const { training, functions } = cross(connection, connection.newJob(), algorithm, options as Parameters<typeof cross>[3], undefined);
    try {
      return await connection.ask("planMemory", training, { memoryBudget, fit });
    } finally {
      for (const id of functions) connection.functions.remove(id);
    }
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
