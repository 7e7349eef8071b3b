/** What a token can be shaded by: its value, its shade, and how it is said. */
import type { EngineToken } from "@trimtab/core";
import { formatShare, formatSigned, formatValue } from "./numbers";
import { SHADES } from "./palette";

export type Measure = "none" | "logp" | "advantage" | "ratio";

interface MeasureText {
  readonly label: string;
  readonly help: string;
  /** What the two ends of the scale mean; without `low` it has one side. */
  readonly low?: string;
  readonly high: string;
}

export const MEASURES: Readonly<Record<Exclude<Measure, "none">, MeasureText>> = {
  logp: { label: "Log-probability", help: "The darker, the less likely the model found this token.", high: "unlikely" },
  advantage: {
    label: "Advantage",
    help: "Blue tokens were made more likely by the step, orange ones less.",
    low: "held back",
    high: "reinforced",
  },
  ratio: {
    label: "KL to the reference",
    help: "Log-ratio to the reference, token by token; its mean over samples is the KL.",
    low: "likelier in the reference",
    high: "likelier now",
  },
};

/** Undefined where it was not computed. */
export function measured(token: EngineToken, measure: Exclude<Measure, "none">): number | undefined {
  if (measure === "logp") return token.logp;
  if (measure === "advantage") return token.advantage;
  return token.refLogp === undefined ? undefined : token.logp - token.refLogp;
}

/** The value that has the strongest shade, the same on both sides of zero: the largest one that occurs in two digits, at least `least`. */
export function scaleOf(tokens: Iterable<EngineToken>, measure: Exclude<Measure, "none">, least = 0.5): number {
  let largest = least;
  for (const token of tokens) largest = Math.max(largest, Math.abs(measured(token, measure) ?? 0));
  return Number(largest.toPrecision(2));
}

/** From -5 to 5 by the value; log-probabilities by 1 - p, from 0 to 5. */
export function shadeOf(value: number, measure: Exclude<Measure, "none">, scale: number): number {
  if (measure === "logp") return Math.round((1 - Math.exp(value)) * SHADES);
  const part = Math.min(1, Math.abs(value) / scale);
  return Math.sign(value) * Math.ceil(part * SHADES - 0.25);
}

/** The class of `palette.ts`; empty for nothing. */
export function shadeClass(shade: number, measure: Exclude<Measure, "none">): string {
  if (shade === 0 || Number.isNaN(shade)) return "";
  return `${measure === "logp" ? "tint" : "shade"}-${shade}`;
}

/** Everything known of a token, in words. */
export function describeToken({ logp, refLogp, advantage, entropy }: EngineToken): readonly (readonly [name: string, value: string])[] {
  return [
    ["probability", formatShare(Math.exp(logp))],
    ["log-probability", formatValue(logp)],
    ...(refLogp === undefined
      ? []
      : ([
          ["in the reference", formatShare(Math.exp(refLogp))],
          ["log-ratio", formatSigned(logp - refLogp)],
        ] as const)),
    ...(advantage === undefined ? [] : ([["advantage", formatSigned(advantage)]] as const)),
    ...(entropy === undefined ? [] : ([["entropy", `${formatValue(entropy)} nats`]] as const)),
  ];
}
