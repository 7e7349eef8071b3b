/** The frozen model that a policy is compared with: a copy of itself as it was, or another. */
import type { Decoder } from "../models/decoder";
import type { OptionChecks } from "./options";

/** "initial" is a copy of the model as it is handed over. */
export type ReferenceOption = "initial" | { readonly decoder: Decoder };

/** Notes in `checks` what keeps a reference from being compared with `decoder`. */
export function checkReference(reference: ReferenceOption, decoder: Decoder, checks: OptionChecks): void {
  if (reference === "initial") return;
  const { vocabSize } = decoder.config;
  const other = reference.decoder.config.vocabSize;
  checks.check("reference", other, other === vocabSize, `a model with the same vocabulary size ${vocabSize}`);
  checks.check("reference", "another device", reference.decoder.device === decoder.device, "a model on the same device");
}

/** The reference where it is needed, and how to let go of it: a copy is freed, a model that was given is not. */
export function openReference(
  option: ReferenceOption,
  decoder: Decoder,
  isNeeded: boolean,
): { readonly decoder: Decoder | undefined; dispose(): void } {
  if (!isNeeded) return { decoder: undefined, dispose() {} };
  if (option !== "initial") return { decoder: option.decoder, dispose() {} };
  const copy = decoder.clone();
  return { decoder: copy, dispose: () => copy.dispose() };
}
