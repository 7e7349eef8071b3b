/** Completes the same prompts with a trained model and with the one it started from, and looks at every token of both. */
import type { EngineModel, Message, Turns } from "@trimtab/core";
import type { RunSetup } from "../store";
import type { SampleGroup, ShownSample } from "./sample-group";

/** As many prompts as fit a screen. */
const MOST_PROMPTS = 4;
const MOST_TOKENS = 48;

interface Comparison<Place> {
  readonly model: EngineModel<Place>;
  readonly reference: EngineModel<Place>;
  /** A reward model, where the run had one. */
  readonly judge: EngineModel<Place> | undefined;
  readonly setup: Pick<RunSetup, "rows" | "options">;
  readonly step: number;
}

/** Greedy, so that a difference is one of the models. Tokens of both sides are seen with the trained model's eyes, beside the reference's. */
export async function compareSamples<Place>({ model, reference, judge, setup, step }: Comparison<Place>): Promise<readonly SampleGroup[]> {
  const prompts = firstPrompts(setup.rows.map((row) => row.prompt as Turns | undefined));
  if (prompts.length === 0) return [];
  const { maxCompletionLength } = setup.options;
  // a text that is read back may take more tokens than it was written with
  const most = Math.min(MOST_TOKENS, Math.floor(model.config.maxPositions / 4));
  const asked = { prompts, temperatures: [0], maxNewTokens: typeof maxCompletionLength === "number" ? maxCompletionLength : most };
  const [trained, before] = [await model.generate(asked), await reference.generate(asked)];
  const groups: SampleGroup[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const samples: ShownSample[] = [];
    for (const [title, text] of [
      [`Trained, step ${step}`, trained[i]?.text ?? ""],
      ["Before training", before[i]?.text ?? ""],
    ] as const) {
      const completion = asTurns(prompt, text);
      const tokens = text === "" ? [] : await model.inspect({ prompt, completion, reference });
      const [reward] = judge && text !== "" ? await judge.score([{ prompt, completion }]) : [];
      samples.push({ title, completion: text, tokens, reward });
    }
    groups.push({ prompt: turnsText(prompt), samples });
  }
  return groups;
}

/** Different ones, in order. */
function firstPrompts(all: readonly (Turns | undefined)[]): readonly Turns[] {
  const seen = new Map<string, Turns>();
  for (const prompt of all) if (prompt !== undefined && seen.size < MOST_PROMPTS) seen.set(JSON.stringify(prompt), prompt);
  return [...seen.values()];
}

/** A completion of a conversation is a message. */
function asTurns(prompt: Turns, text: string): Turns {
  return typeof prompt === "string" ? text : [{ role: "assistant", content: text }];
}

/** A prompt or a completion as text. */
export function turnsText(turns: Turns): string {
  if (typeof turns === "string") return turns;
  return turns.map(({ role, content }: Message) => (turns.length > 1 ? `${role}: ${content}` : content)).join("\n");
}
