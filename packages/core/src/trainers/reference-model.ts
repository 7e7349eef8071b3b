/** The model that a policy is compared with: a copy of itself as it was, or another; frozen, or following the policy. */
import { ops, UNARY_KINDS } from "@trimtab/kernels";
import type { Decoder } from "../models/decoder";
import type { ParameterSet } from "../nn/parameters";
import { allocate, type Tensor } from "../tensor/tensor";
import type { OptionChecks } from "./options";
import type { TrainedModels } from "./training-state";

/** "initial" is a copy of the model as it is handed over, or the base of a model with an adapter. */
export type ReferenceOption = "initial" | { readonly decoder: Decoder };

export interface ReferenceOptions {
  /** The reference model; "initial" is a copy of `model` as it is handed over. Default "initial"; made only where it is needed. */
  readonly reference?: ReferenceOption | undefined;
  /** Move the reference towards the policy (TR-DPO); a model that was given is copied first. Default false. */
  readonly syncRefModel?: boolean | undefined;
  /** α in reference := α policy + (1 - α) reference; 1 replaces it, as iterative GRPO and R1-Zero do. Default 0.6. */
  readonly refModelMixupAlpha?: number | undefined;
  /** Optimiser steps between two such moves. Default 512. */
  readonly refModelSyncSteps?: number | undefined;
}

export interface ReferenceSettings {
  readonly option: ReferenceOption;
  readonly isNeeded: boolean;
  /** A copy of weights is made for it. */
  readonly isCopied: boolean;
  readonly sync: { readonly alpha: number; readonly steps: number } | undefined;
}

/** An open reference: `follow` is to be called after every step, `others` are what a checkpoint must hold of it. */
export interface OpenReference {
  readonly decoder: Decoder | undefined;
  readonly others: TrainedModels["others"];
  follow(step: number): void;
  /** A copy is freed, a model that was given is not. */
  dispose(): void;
}

/** Fills in defaults and notes in `checks` what is wrong. */
export function resolveReference(options: ReferenceOptions, decoder: Decoder, isNeeded: boolean, checks: OptionChecks): ReferenceSettings {
  const { reference: option = "initial", syncRefModel = false } = options;
  checkReference(option, decoder, checks);
  checks.check("syncRefModel", syncRefModel, isNeeded || !syncRefModel, "false where nothing is compared with a reference");
  const sync = syncRefModel
    ? {
        alpha: checks.number("refModelMixupAlpha", options.refModelMixupAlpha ?? 0.6, 0, 1, true),
        steps: checks.count("refModelSyncSteps", options.refModelSyncSteps ?? 512),
      }
    : undefined;
  checks.check(
    "syncRefModel",
    syncRefModel,
    !(syncRefModel && decoder.adapter),
    "false where an adapter is trained: its reference is the base",
  );
  const isView = option === "initial" && decoder.adapter !== undefined;
  return { option, isNeeded, isCopied: isNeeded && ((option === "initial" && !isView) || syncRefModel), sync };
}

/** Notes in `checks` what keeps a reference from being compared with `decoder`. */
export function checkReference(reference: ReferenceOption, decoder: Decoder, checks: OptionChecks): void {
  if (reference === "initial") return;
  const { vocabSize } = decoder.config;
  const other = reference.decoder.config.vocabSize;
  checks.check("reference", other, other === vocabSize, `a model with the same vocabulary size ${vocabSize}`);
  checks.check("reference", "another device", reference.decoder.device === decoder.device, "a model on the same device");
}

/**
 * The reference where it is needed, and how to let go of it: a copy is freed, a model that was given is not. That of an adapted policy is its
 * base, without a copy.
 */
export function openReference(
  option: ReferenceOption,
  decoder: Decoder,
  isNeeded: boolean,
): { readonly decoder: Decoder | undefined; dispose(): void } {
  if (!isNeeded) return { decoder: undefined, dispose() {} };
  if (option !== "initial") return { decoder: option.decoder, dispose() {} };
  if (decoder.adapter) return { decoder: decoder.withAdapter(undefined), dispose() {} };
  const copy = decoder.clone();
  return { decoder: copy, dispose: () => copy.dispose() };
}

/** {@link openReference} for a reference that may follow the policy. */
export function openMovingReference({ option, isNeeded, sync }: ReferenceSettings, policy: Decoder): OpenReference {
  if (!sync || !isNeeded) return { ...openReference(option, policy, isNeeded), others: undefined, follow() {} };
  const decoder = option === "initial" ? policy.clone() : option.decoder.clone();
  return {
    decoder,
    others: { reference: { parameters: decoder.trainable } },
    follow(step) {
      if (step % sync.steps === 0) mixInto(decoder.trainable, policy.trainable, sync.alpha);
    },
    dispose: () => decoder.dispose(),
  };
}

/** target := alpha source + (1 - alpha) target, for two parameter sets of one layout. Source: TRL's SyncRefModelCallback (Gorbatovski et al. 2024). */
export function mixInto(target: ParameterSet, source: ParameterSet, alpha: number): void {
  const { device } = target;
  target.shards.forEach((to, i) => {
    const from = source.shards[i] as Tensor;
    if (alpha === 1) {
      device.copy(from, to);
      return;
    }
    const scaled = allocate(device, to.shape);
    const scale = (x: Tensor, a: number) =>
      device.dispatch(ops.unary.forward, { tensors: { x, y: scaled }, scalars: { kind: UNARY_KINDS.affine, a, b: 0 } });
    scale(to, 1 - alpha);
    device.copy(scaled, to);
    scale(from, alpha);
    device.dispatch(ops.accumulate.add, { tensors: { x: scaled, y: to } });
    device.free(scaled.buffer);
  });
}
