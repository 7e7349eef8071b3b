/** The share of a completion's words that are written in the script of the wanted language. */
import { ConfigError } from "../errors";
import type { RewardFunction } from "../rl/rewards";
import { type NamedRewardOptions, textReward } from "./named-reward";

export interface LanguageConsistencyRewardOptions extends NamedRewardOptions {
  /** Code of a language whose scripts are known here: en, de, fr, es, it, pt, nl, pl, tr, vi, ru, uk, bg, el, zh, ja, ko, ar, fa, he, hi, th. Default "en". */
  readonly language?: string | undefined;
  /** Unicode names of the wanted scripts (`Latin`, `Han`, ...) instead of a language's. */
  readonly scripts?: readonly string[] | undefined;
}

const LATIN = ["en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "vi"];

const SCRIPTS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(LATIN.map((language) => [language, ["Latin"]])),
  ru: ["Cyrillic"],
  uk: ["Cyrillic"],
  bg: ["Cyrillic"],
  el: ["Greek"],
  zh: ["Han"],
  ja: ["Han", "Hiragana", "Katakana"],
  ko: ["Hangul"],
  ar: ["Arabic"],
  fa: ["Arabic"],
  he: ["Hebrew"],
  hi: ["Devanagari"],
  th: ["Thai"],
};

const UNSPACED = String.raw`\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}`;

/** Each character of a script that is written without spaces, and each run of other letters with their marks and apostrophes. */
const WORD = new RegExp(String.raw`[${UNSPACED}]|(?:(?![${UNSPACED}])[\p{L}\p{M}'\u2019])+`, "gu");

/**
 * Reward `language_consistency_reward`: words in the wanted script / words, in [0, 1]; null without words. DeepSeek-R1 (Nature
 * 2025, equation 7) counts words of the target language; here the script decides, so that languages of one script are not told apart.
 */
export function languageConsistencyReward(options: LanguageConsistencyRewardOptions = {}): RewardFunction {
  const { name = "language_consistency_reward", language = "en" } = options;
  const scripts = options.scripts ?? SCRIPTS[language];
  if (scripts === undefined) {
    const known = Object.keys(SCRIPTS).join(", ");
    throw new ConfigError(`${name}: \`language\` must be one of ${known}, got "${language}". Name its scripts in \`scripts\` instead.`);
  }
  const wanted = scriptPattern(name, scripts);
  return textReward(name, (text) => {
    const words = (text.match(WORD) ?? []).filter((word) => /\p{L}/u.test(word));
    return words.length === 0 ? null : words.filter((word) => wanted.test(word)).length / words.length;
  });
}

/** Matches words whose every character is used in one of the scripts. */
function scriptPattern(where: string, scripts: readonly string[]): RegExp {
  try {
    return new RegExp(`^[${scripts.map((script) => `\\p{scx=${script}}`).join("")}\\p{M}'\u2019]+$`, "u");
  } catch (cause) {
    throw new ConfigError(
      `${where}: \`scripts\` must be Unicode names of scripts, got ${scripts.join(", ")}. Use names such as Latin or Han.`,
      {
        cause,
      },
    );
  }
}
