/** Models that a command names for their scores: a reward model, and a value model by name or by directory. */
import { ConfigError, type Device, type ScalarModel, scalarModel, type ValueModelOption } from "@trimtab/core";
import { loadNamedModel } from "./named-model";

/** The model with a score head of a directory or of the hub, for the flag that names it. Throws ConfigError for one that predicts tokens. */
export async function loadScalarModel(flag: string, name: string, device: Device): Promise<ScalarModel> {
  const model = await loadNamedModel(name, { device });
  if (model.decoder.config.head === "score") return scalarModel(model);
  throw new ConfigError(
    `${flag}: it must name a model with a score head, got ${name}, a model that predicts tokens. Train one with \`trimtab reward\`.`,
  );
}

/** "shared" and "separate" by name, anything else by its directory or its name on the hub. */
export async function loadValueModel(name: string, device: Device): Promise<ValueModelOption> {
  return name === "shared" || name === "separate" ? name : loadScalarModel("--value-model", name, device);
}
