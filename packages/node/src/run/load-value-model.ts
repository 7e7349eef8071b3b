/** The value model that a command names: "shared", "separate", or the directory of a model with a score head. */
import { ConfigError, type Device, scalarModel, type ValueModelOption } from "@trimtab/core";
import { loadModel } from "../model";

/** Throws ConfigError for a directory whose model predicts tokens. */
export async function loadValueModel(name: string, device: Device): Promise<ValueModelOption> {
  if (name === "shared" || name === "separate") return name;
  const model = await loadModel(name, { device });
  if (model.decoder.config.head === "score") return scalarModel(model);
  throw new ConfigError(
    `--value-model: it must be shared, separate or a reward model's directory, got ${name}, a model that predicts tokens. Train one with \`trimtab reward\`.`,
  );
}
