/** Which completions of a batch answer the same prompt. */
import type { Turns } from "../data/formats";

/** Runs of equal prompts, each as the indices of its completions: the groups of GRPO and its like, however large. */
export function promptGroups(prompts: readonly Turns[]): number[][] {
  const groups: number[][] = [];
  let last: string | undefined;
  prompts.forEach((prompt, b) => {
    const key = JSON.stringify(prompt);
    if (key === last) (groups.at(-1) as number[]).push(b);
    else groups.push([b]);
    last = key;
  });
  return groups;
}
