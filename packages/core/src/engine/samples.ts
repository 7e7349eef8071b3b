/** Completions and their tokens on the way to the application: by column across the thread, token by token where they are shown. */
import type { Turns } from "../data/formats";
import type { ScoredCompletion } from "../rl/scored-rollout";
import type { Tokenizer } from "../tokenizer/tokenizer";
import type { EngineSample, EngineToken } from "./engine";
import type { WireSample, WireTokens } from "./protocol";

/** A completion of a step for the application. */
export function wireSample(completion: ScoredCompletion, tokenizer: Tokenizer): WireSample {
  const { prompt, completion: turns, reward, rewards, advantage, tokens } = completion;
  return {
    prompt: textOf(prompt),
    completion: textOf(turns),
    reward,
    rewards,
    advantage,
    tokens: tokens && wireTokens(tokens, tokenizer),
  };
}

/** Tokens with their texts. */
export function wireTokens(
  { ids, ...columns }: { readonly ids: Uint32Array } & Omit<WireTokens, "texts" | "specials">,
  tokenizer: Tokenizer,
): WireTokens {
  const specials = Array.from(ids.keys()).filter((t) => tokenizer.specialTokenIds.has(ids[t] as number));
  return { texts: textsOf(ids, tokenizer), specials, ...columns };
}

/** The sample as the application sees it. */
export function sampleOf({ tokens, ...sample }: WireSample): EngineSample {
  return { ...sample, tokens: tokens && tokensOf(tokens) };
}

/** Tokens as the application sees them. */
export function tokensOf({ texts, specials, logps, entropies, refLogps, advantages }: WireTokens): EngineToken[] {
  return texts.map((text, t) => ({
    text,
    ...(specials.includes(t) ? { isSpecial: true } : {}),
    logp: logps[t] as number,
    entropy: entropies?.[t],
    refLogp: refLogps && !Number.isNaN(refLogps[t]) ? refLogps[t] : undefined,
    advantage: advantages?.[t],
  }));
}

/** The text of a prompt or completion, as a transcript where it is a conversation. */
function textOf(turns: Turns): string {
  if (typeof turns === "string") return turns;
  const [only] = turns;
  return turns.length === 1 && only?.role === "assistant"
    ? only.content
    : turns.map(({ role, content }) => `${role}: ${content}`).join("\n");
}

/** What each token adds to the text, special tokens included; a character of several tokens comes with its last one. */
function textsOf(ids: Uint32Array, tokenizer: Tokenizer): string[] {
  const stream = tokenizer.decodeStream({ skipSpecialTokens: false });
  const texts = Array.from(ids, (id) => stream.push(id));
  const last = texts.length - 1;
  if (last >= 0) texts[last] = (texts[last] as string) + stream.flush();
  return texts;
}
