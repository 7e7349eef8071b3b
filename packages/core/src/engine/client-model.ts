/** A model on the engine's thread, as the application holds it. */
import type { DatasetRow } from "../data/jsonl";
import { ConfigError } from "../errors";
import type { DecoderConfig } from "../models/config";
import type { LoraOptions } from "../models/lora-options";
import type { NormalizationTarget, RewardNormalization } from "../rl/reward-normalization";
import type { Connection } from "./connection";
import type { EngineCompletion, EngineGenerateOptions, EngineModel, EngineToken } from "./engine";
import type { ModelRecord } from "./protocol";
import { tokensOf } from "./samples";

export class ClientModel<Place> implements EngineModel<Place> {
  readonly kind: "lm" | "score";
  readonly config: DecoderConfig;
  readonly parameterCount: number;
  readonly hasChatTemplate: boolean;
  readonly hasAdapter: boolean;
  readonly #id: number;
  readonly #connection: Connection;

  constructor(connection: Connection, { id, kind, config, parameterCount, hasChatTemplate, hasAdapter }: ModelRecord) {
    this.#connection = connection;
    this.#id = id;
    this.kind = kind;
    this.config = config;
    this.parameterCount = parameterCount;
    this.hasChatTemplate = hasChatTemplate;
    this.hasAdapter = hasAdapter;
  }

  /** The number of a handle on `connection`. Throws ConfigError for anything else. */
  static idOf(handle: unknown, connection: Connection, where: string): number {
    if (handle instanceof ClientModel && handle.#connection === connection) return handle.#id;
    const got = handle instanceof ClientModel ? "a model of another engine" : typeof handle;
    throw new ConfigError(`${where}: it must be a model of this engine, got ${got}. Load it with engine.loadModel.`);
  }

  async clone(): Promise<EngineModel<Place>> {
    return new ClientModel(this.#connection, await this.#connection.ask("cloneModel", this.#id));
  }

  async withAdapter(options: LoraOptions = {}): Promise<EngineModel<Place>> {
    return new ClientModel(this.#connection, await this.#connection.ask("withAdapter", this.#id, options));
  }

  async merge(): Promise<EngineModel<Place>> {
    return new ClientModel(this.#connection, await this.#connection.ask("mergeModel", this.#id));
  }

  async toRewardModel(seed: number): Promise<EngineModel<Place>> {
    return new ClientModel(this.#connection, await this.#connection.ask("toRewardModel", this.#id, seed));
  }

  generate({ onText, signal, ...options }: EngineGenerateOptions): Promise<EngineCompletion[]> {
    const connection = this.#connection;
    const job = connection.newJob();
    return connection.askUntil(signal, job, () =>
      connection.askWhileTelling(onText, job, (listener) => connection.ask("generate", this.#id, { ...options, job, onText: listener })),
    );
  }

  score(rows: readonly { readonly prompt: unknown; readonly completion: unknown }[]): Promise<number[]> {
    return this.#connection.ask("score", this.#id, rows);
  }

  normalize(rows: readonly DatasetRow[], target: NormalizationTarget = {}): Promise<RewardNormalization> {
    return this.#connection.ask("normalize", this.#id, rows, target);
  }

  async inspect({ prompt, completion, reference }: Parameters<EngineModel<Place>["inspect"]>[0]): Promise<EngineToken[]> {
    const other = reference && ClientModel.idOf(reference, this.#connection, "inspect: `reference`");
    return tokensOf(await this.#connection.ask("inspect", this.#id, { prompt, completion, reference: other }));
  }

  async save(to: Place): Promise<void> {
    await this.#connection.ask("saveModel", this.#id, to);
  }

  files(): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> {
    return this.#connection.ask("modelFiles", this.#id);
  }

  async dispose(): Promise<void> {
    await this.#connection.ask("disposeModel", this.#id);
  }
}
