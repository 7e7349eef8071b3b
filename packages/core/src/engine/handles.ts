/** The models on the engine's thread, by number. */
import type { Device } from "@trimtab/kernels";
import type { ReadableDirectory, WritableDirectory } from "../checkpoint/files";
import { besideNormalization, loadRewardNormalization } from "../checkpoint/reward-normalization";
import { ConfigError } from "../errors";
import type { PrecisionOptions } from "../models/base-dtype";
import { type LanguageModel, saveAdapter, saveLanguageModel } from "../models/language-model";
import { loadModelOrAdapter, type OpenBase } from "../models/load-model";
import { newLora } from "../models/lora";
import type { LoraOptions } from "../models/lora-options";
import { mergedCopy } from "../models/merge-adapter";
import { type ScalarModel, scalarModel } from "../models/scalar-model";
import type { RewardNormalization } from "../rl/reward-normalization";
import { MemoryFiles } from "./memory-files";
import type { ModelRecord } from "./protocol";

/** A model, and who uses it. */
export interface HeldModel {
  readonly id: number;
  readonly model: LanguageModel;
  /** What `score` and rewards apply; undefined where nothing was fitted. */
  normalization: RewardNormalization | undefined;
  /** Whose weights it stands on; undefined for a model without an adapter. */
  readonly base: HeldModel | undefined;
  /** It came with an adapter that was loaded, nobody has its number, and it goes with the last model on its weights. */
  readonly isHidden: boolean;
  /** Models with an adapter on its weights. */
  adapted: number;
  /** Runs that it is part of. */
  users: number;
  /** A run trains it. */
  isTrained: boolean;
}

export class Handles {
  readonly #models = new Map<number, HeldModel>();
  #made = 0;

  add(
    model: LanguageModel,
    { normalization, base, isHidden = false }: Partial<Pick<HeldModel, "normalization" | "base" | "isHidden">> = {},
  ): ModelRecord {
    const held: HeldModel = { id: ++this.#made, model, normalization, base, isHidden, adapted: 0, users: 0, isTrained: false };
    this.#models.set(held.id, held);
    if (base) base.adapted += 1;
    const { config, parameters, adapter } = model.decoder;
    return {
      id: held.id,
      kind: config.head,
      config,
      parameterCount: parameters.count,
      hasChatTemplate: model.tokenizer.chatTemplate !== undefined,
      hasAdapter: adapter !== undefined,
    };
  }

  /** Throws ConfigError for a model that is gone. */
  get(id: number): HeldModel {
    const held = this.#models.get(id);
    if (held) return held;
    throw new ConfigError("engine: a model must not have been disposed of, got one that was. Load it again.");
  }

  /** The model with its score head. Throws ConfigError for one that predicts tokens. */
  scalar(id: number, where: string): ScalarModel {
    const { model } = this.get(id);
    if (model.decoder.config.head === "score") return scalarModel(model);
    throw new ConfigError(`${where}: the model must have a score head, got one that predicts tokens. Make one with toRewardModel.`);
  }

  /** Throws ConfigError for a model that scores. */
  language(id: number, where: string): LanguageModel {
    const { model } = this.get(id);
    if (model.decoder.config.head === "lm") return model;
    throw new ConfigError(`${where}: the model must predict tokens, got one with a score head. Use a language model.`);
  }

  async load(device: Device, directory: ReadableDirectory, options: PrecisionOptions, openBase: OpenBase): Promise<ModelRecord> {
    const { model, base } = await loadModelOrAdapter(device, directory, options, openBase);
    const normalization = model.decoder.config.head === "lm" ? undefined : await loadRewardNormalization(directory);
    return this.add(model, { normalization, base: base && this.get(this.add(base, { isHidden: true }).id) });
  }

  /** A language model with a new adapter on its weights. Throws ConfigError for bad options, and for a model that has one or is being trained. */
  adapt(id: number, options: LoraOptions): ModelRecord {
    const model = this.language(id, "withAdapter");
    const base = this.get(id);
    if (model.decoder.adapter)
      throw new ConfigError("withAdapter: the model must not have an adapter yet, got one. Merge it first: model.merge().");
    if (base.isTrained)
      throw new ConfigError("withAdapter: the model must not be in training, got one that a run trains. End the run, or clone the model.");
    return this.add({ ...model, decoder: model.decoder.withAdapter(newLora(model.decoder, options)) }, { base });
  }

  /** An adapted model as a whole one of its own. Throws ConfigError where there is no adapter. */
  merge(id: number): ModelRecord {
    const { model } = this.get(id);
    if (!model.decoder.adapter) throw new ConfigError("merge: the model must have an adapter, got none. Put one on with withAdapter.");
    return this.add({ ...model, decoder: mergedCopy(model.decoder) });
  }

  async save(id: number, directory: WritableDirectory): Promise<void> {
    const { model, normalization } = this.get(id);
    const whole = besideNormalization(normalization, directory);
    await (model.decoder.adapter ? saveAdapter(model, whole) : saveLanguageModel(model, whole));
  }

  /** The files that {@link save} writes, by name. */
  async files(id: number): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
    const memory = new MemoryFiles();
    await this.save(id, memory);
    return memory.files;
  }

  dispose(id: number): void {
    const held = this.get(id);
    if (held.users > 0) {
      throw new ConfigError("dispose: the model must not be in use, got one that a run uses. End the run first: run.return().");
    }
    if (held.adapted > 0) {
      throw new ConfigError("dispose: the model must not be the base of an adapter, got one. Dispose of the adapted models first.");
    }
    this.#models.delete(id);
    held.model.decoder.dispose();
    if (!held.base) return;
    held.base.adapted -= 1;
    if (held.base.isHidden && held.base.adapted === 0) this.dispose(held.base.id);
  }
}
