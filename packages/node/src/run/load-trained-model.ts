/** The model that a command trains: a directory's, with a new adapter where the flags ask for one. */
import { resolve } from "node:path";
import { ConfigError, type Device, hubModelOf, type LanguageModel, type LoraOptions, newLora } from "@trimtab/core";
import type { z } from "zod";
import type { peftFields } from "../cli/schemas/fields";
import { isOnHub } from "../model";
import { loadModelOf, type ModelFlags } from "./named-model";

/** TRL's options of an adapter. */
export type PeftFlags = Readonly<z.output<z.ZodObject<typeof peftFields>>> & { readonly seed: number };

/** Loads the model; one that already has an adapter goes on with it. */
export async function loadTrainedModel(options: PeftFlags & ModelFlags, device: Device): Promise<LanguageModel> {
  return withPeft(await loadModelOf(options, device), options);
}

/** What adapter_config.json says of the base: where PEFT finds it. */
function baseOf({ modelNameOrPath: name, modelRevision }: ModelFlags): Pick<LoraOptions, "baseModelNameOrPath" | "revision"> {
  if (!isOnHub(name)) return { baseModelNameOrPath: resolve(name) };
  const { repository, revision } = hubModelOf({ hub: name, revision: modelRevision });
  return { baseModelNameOrPath: repository, revision };
}

/** The model with a new adapter on its weights where `--use-peft` is given. Throws ConfigError where it has one already. */
export function withPeft<Model extends LanguageModel>(model: Model, options: PeftFlags & ModelFlags): Model {
  if (!options.usePeft) return model;
  if (model.decoder.adapter) {
    throw new ConfigError(
      "--use-peft: the model must not have an adapter yet, got one. Leave the flag out to train that one on, or merge it first.",
    );
  }
  const { loraTargetModules: targets, loraModulesToSave: modulesToSave } = options;
  const [only] = targets ?? [];
  const adapter = newLora(model.decoder, {
    r: options.loraR,
    loraAlpha: options.loraAlpha,
    loraDropout: options.loraDropout,
    targetModules: targets?.length === 1 && only === "all-linear" ? "all-linear" : targets,
    ...(modulesToSave ? { modulesToSave } : {}),
    useRslora: options.useRslora,
    useDora: options.useDora,
    ...baseOf(options),
    seed: options.seed,
  });
  return { ...model, decoder: model.decoder.withAdapter(adapter) };
}
