/** What a run of the engine would take, found out on a device that holds nothing: its models stand there by their shapes alone. */
import type { Device } from "@trimtab/kernels";
import { ConfigError } from "../errors";
import { type FittedMemory, fitMemory } from "../memory/fit-memory";
import { type MemoryRequest, planMemory } from "../memory/plan-memory";
import { Decoder, linearFormatOf, parameterSpecs } from "../models/decoder";
import { Lora } from "../models/lora";
import { scalarModel } from "../models/scalar-model";
import { ParameterSet } from "../nn/parameters";
import { rewardModelFunction } from "../trainers/reward-model-function";
import type { Handles } from "./handles";
import type { EngineHost } from "./host";
import type { WirePlan, WireTraining } from "./protocol";
import { headOf, isWireModel } from "./start-run";
import { trainers } from "./trainers";

/** Plans, or with `fit` finds settings that fit. Throws ConfigError where the host cannot plan, and what {@link fitMemory} throws. */
export async function planRun(
  training: WireTraining,
  { memoryBudget, fit }: WirePlan,
  { handles, host, device }: { readonly handles: Handles; readonly host: EngineHost<unknown>; readonly device: Device },
): Promise<FittedMemory> {
  const { createDryDevice } = host;
  if (!createDryDevice)
    throw new ConfigError("planMemory: the engine's host must bring createDryDevice of @trimtab/kernels/dry, got none.");
  const { start, head } = trainers[training.algorithm as keyof typeof trainers] ?? {};
  if (!start || !head)
    throw new ConfigError(`planMemory: the algorithm must be one of ${Object.keys(trainers).join(", ")}, got "${training.algorithm}".`);
  const request: MemoryRequest<object> = {
    device: device.info,
    createDryDevice,
    memoryBudget,
    train: start as unknown as MemoryRequest<object>["train"],
    options: (dry) => likenessOf(training, head, handles, dry),
  };
  return fit ? fitMemory(request) : { plan: await planMemory(request), options: {} };
}

/** The trainer's options with models on `dry`; those that share weights here share them there. */
function likenessOf(training: WireTraining, head: "lm" | "score", handles: Handles, dry: Device): object {
  const bases = new Map<ParameterSet, Decoder>();
  const models = new Map<number, Decoder>();
  const modelOf = (id: number, wanted: "lm" | "score") => {
    const { model } = handles.get(id);
    const { config, parameters, adapter } = model.decoder;
    const base =
      bases.get(parameters) ?? new Decoder(dry, config, new ParameterSet(dry, parameterSpecs(config, linearFormatOf(model.decoder))));
    bases.set(parameters, base);
    const decoder = models.get(id) ?? (adapter ? base.withAdapter(new Lora(dry, config, adapter.settings.options)) : base);
    models.set(id, decoder);
    const { tokenizer, generationConfig } = model;
    return wanted === "score" ? scalarModel({ decoder, tokenizer }) : { decoder, tokenizer, generationConfig };
  };
  const rewards = (training.rewards ?? []).flatMap((reward) =>
    "model" in reward ? [rewardModelFunction(modelOf(reward.model, "score") as ReturnType<typeof scalarModel>)] : [],
  );
  return {
    ...Object.fromEntries(
      Object.entries(training.options).map(([name, value]) => [
        name,
        isWireModel(value) ? modelOf(value.model, headOf(name, head)) : value,
      ]),
    ),
    ...(training.rewards ? { rewards } : {}),
  };
}
