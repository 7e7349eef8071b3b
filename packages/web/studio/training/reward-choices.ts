/** The rewards that the studio offers besides reward models: rules that need no code, and what they need to know. */

export interface RuleChoice {
  /** Name of core's built-in reward. */
  readonly rule: string;
  readonly label: string;
  readonly help: string;
  /** A text that it takes as an option. */
  readonly text?: { readonly option: string; readonly label: string; readonly placeholder: string };
  /** A column that prompts must have. */
  readonly column?: string;
}

export const RULES: readonly RuleChoice[] = [
  {
    rule: "format",
    label: "Matches a pattern",
    help: "1 where the completion contains the pattern, else 0.",
    text: { option: "pattern", label: "Pattern (a regular expression)", placeholder: "lovely|wonderful" },
  },
  { rule: "length", label: "Short", help: "From 0.5 for the shortest completion of a prompt to −0.5 for the longest." },
  { rule: "repetition-penalty", label: "Does not repeat itself", help: "0 where no three tokens occur twice, down to −1." },
  { rule: "exact-match", label: "Is the answer", help: "1 where it equals the prompt's `answer`.", column: "answer" },
  {
    rule: "numeric-match",
    label: "Has the right number",
    help: "1 where its last number is that of the prompt's `answer`.",
    column: "answer",
  },
  {
    rule: "json-schema",
    label: "Is valid JSON",
    help: "1 where the first JSON value fits the prompt's `schema`.",
    column: "schema",
  },
];
