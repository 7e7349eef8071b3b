/** Finds the options that a trainer refused in its message, so that each can be shown beside its field. */

export interface OptionErrors {
  /** By the option's name: a sentence that says what it must be, and what it was. */
  readonly fields: ReadonlyMap<string, string>;
  /** Everything that no field stands for; empty where the fields say it all. */
  readonly rest: string;
}

/** Messages of ConfigError read "<where>: `name` must be ..., got ...; `name` must be ... . Correct these options." */
export function optionErrors(message: string, known: readonly string[]): OptionErrors {
  const fields = new Map<string, string>();
  const rest: string[] = [];
  const body = message.replace(/^[\w ]+: (?=`)/, "").replace(/\.? Correct these options\.$/, "");
  for (const problem of body.split(/; (?=`)/)) {
    const [, name = "", said = ""] = /^`([^`]+)` (must .*)$/s.exec(problem) ?? [];
    // a product of options stands beside each of them
    const parts = name.split(" × ");
    const named = parts.filter((part) => known.includes(part));
    for (const part of named) {
      const others = parts.filter((other) => other !== part);
      fields.set(part, others.length > 0 ? `Times ${others.join(" and ")}, it ${said}.` : `It ${said}.`);
    }
    if (named.length === 0) rest.push(problem);
  }
  return { fields, rest: rest.join("; ") };
}
