/** Models that a command names for their scores: a reward model, and a value model by name or by directory. */
import { ConfigError, type Device, type ScalarModel, scalarModel, type ValueModelOption } from "@trimtab/core";
import { loadModel } from "../model";

/** The model with a score head in a directory, for the flag that names it. Throws ConfigError for one that predicts tokens. */
export async function loadScalarModel(flag: string, directory: string, device: Device): Promise<ScalarModel> {
  const model = await loadModel(directory, { device });
  if (model.decoder.config.head === "score") return scalarModel(model);
  throw new ConfigError(
    `${flag}: it must be the directory of a model with a score head, got ${directory}, a model that predicts tokens. Train one with \`trimtab reward\`.`,
  );
}

/** "shared" and "separate" by name, anything else from a directory. */
export async function loadValueModel(name: string, device: Device): Promise<ValueModelOption> {
  return name === "shared" || name === "separate" ? name : loadScalarModel("--value-model", name, device);
}
