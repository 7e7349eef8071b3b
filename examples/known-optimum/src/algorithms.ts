/** Every algorithm of the program, by name. */
import type { Algorithm } from "./algorithm";
import { policyAlgorithms } from "./policy-algorithms";
import { preferenceAlgorithms } from "./preference-algorithms";
import { rewardAlgorithms } from "./reward-algorithms";
import { valueAlgorithms } from "./value-algorithms";

export const algorithms: readonly Algorithm[] = [...policyAlgorithms, ...valueAlgorithms, ...preferenceAlgorithms, ...rewardAlgorithms];

/** Those of these names, or all of "all". Throws RangeError for a name that is none. */
export function chosen(names: readonly string[]): readonly Algorithm[] {
  if (names.includes("all")) return algorithms;
  return names.map((name) => {
    const algorithm = algorithms.find((one) => one.name === name);
    if (algorithm) return algorithm;
    throw new RangeError(`--algorithm: it must be all or some of ${algorithms.map((one) => one.name).join(", ")}, got ${name}.`);
  });
}
