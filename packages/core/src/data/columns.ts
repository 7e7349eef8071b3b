/** Reads the columns of one dataset row, each by its rule, and names every column that breaks one. */
import { DataError } from "../errors";
import type { Message, Turns } from "./formats";
import { type DatasetRow, describe } from "./jsonl";

/**
 * Reads a row with `read` and returns its result. Throws one DataError that lists every column that broke a rule; its `field` is the
 * first of them. `line` is 1-based.
 */
export function readRow<T>(row: DatasetRow, line: number, read: (columns: Columns) => T): T {
  const columns = new Columns(row);
  const result = read(columns);
  const [first] = columns.problems;
  if (first === undefined) return result;
  const rules = columns.problems.map(({ field, rule, got }) => `\`${field}\` ${rule}, got ${describe(got)}`).join("; ");
  throw new DataError(`dataset line ${line}: ${rules}. Correct the row.`, { line, field: first.field });
}

interface Problem {
  readonly field: string;
  readonly rule: string;
  readonly got: unknown;
}

/** A broken column reads as an empty value, so that the rest of the row is still checked; `readRow` throws before it gets out. */
export class Columns {
  readonly problems: Problem[] = [];
  readonly #row: DatasetRow;
  readonly #kinds = new Map<string, "text" | "messages">();
  readonly #used = new Set<string>();

  constructor(row: DatasetRow) {
    this.#row = row;
  }

  /** Whether the column holds something; null is nothing. */
  has(field: string): boolean {
    const value = this.#row[field];
    return value !== undefined && value !== null;
  }

  get(field: string): unknown {
    this.#used.add(field);
    return this.#row[field];
  }

  /** The columns that were not asked for. */
  rest(): DatasetRow {
    return Object.fromEntries(Object.entries(this.#row).filter(([field]) => !this.#used.has(field)));
  }

  reject(field: string, rule: string, got: unknown): void {
    this.problems.push({ field, rule, got });
  }

  /** Text or messages; a prompt must not be empty. */
  turns(field: string, value: unknown = this.get(field)): Turns {
    if (typeof value !== "string") {
      const messages = this.messages(field, value, "must be a string or a list of messages");
      if (messages.length > 0) this.#kinds.set(field, "messages");
      return messages;
    }
    if (value === "" && field === "prompt") this.reject(field, "must not be empty", value);
    else this.#kinds.set(field, "text");
    return value;
  }

  messages(field: string, value: unknown = this.get(field), rule = "must be a list of messages"): readonly Message[] {
    if (!Array.isArray(value) || value.length === 0) {
      this.reject(field, rule, value);
      return [];
    }
    const bad = value.findIndex((message) => !isMessage(message));
    if (bad < 0) return value as readonly Message[];
    this.reject(`${field}[${bad}]`, "must have a `role` and a `content`, both strings", value[bad]);
    return [];
  }

  /** A list of `atLeast` values, each read by `read` under the name `field[i]`. */
  list<T>(field: string, atLeast: number, read: (name: string, value: unknown) => T): readonly T[] {
    const value = this.get(field);
    if (Array.isArray(value) && value.length >= atLeast) return value.map((item: unknown, i) => read(`${field}[${i}]`, item));
    this.reject(field, `must be a list of at least ${atLeast}`, value);
    return [];
  }

  /** Two lists must be equally long; lists that are broken themselves are not compared. */
  sameLength(field: string, other: string): void {
    const [a, b] = [this.#row[field], this.#row[other]];
    if (Array.isArray(a) && Array.isArray(b) && a.length !== b.length) {
      this.reject(other, `must have one value for each of the ${a.length} in \`${field}\``, b);
    }
  }

  /** Everything read as turns must be text where `reference` is text, and messages where it is messages. */
  alike(reference: string): void {
    const kind = this.#kinds.get(reference);
    const named = reference === "prompt" ? "the prompt" : `\`${reference}\``;
    for (const [field, other] of this.#kinds) {
      if (kind === undefined || other === kind) continue;
      this.reject(field, `must be text where ${named} is text, and messages where it is messages`, this.#valueAt(field));
    }
  }

  text(field: string, value: unknown = this.get(field)): string {
    if (typeof value !== "string") this.reject(field, "must be a string", value);
    return typeof value === "string" ? value : "";
  }

  number(field: string, value: unknown = this.get(field)): number {
    if (typeof value === "number" && Number.isFinite(value)) return value;
    this.reject(field, "must be a finite number", value);
    return 0;
  }

  boolean(field: string, value: unknown = this.get(field)): boolean {
    if (typeof value !== "boolean") this.reject(field, "must be true or false", value);
    return value === true;
  }

  /** A string or a number that names something. */
  identifier(field: string): string | number | undefined {
    const value = this.get(field);
    if (value === undefined || value === null) return undefined;
    if (typeof value === "string" || typeof value === "number") return value;
    this.reject(field, "must be a string or a number", value);
    return undefined;
  }

  /** The value under a name such as `completions[2]`. */
  #valueAt(name: string): unknown {
    const [, field = name, index] = /^(.*)\[(\d+)\]$/.exec(name) ?? [];
    const value = this.#row[field];
    return index === undefined ? value : (value as readonly unknown[])[Number(index)];
  }
}

/** An assistant's turn that only calls tools has no content. */
function isMessage(value: unknown): value is Message {
  if (typeof value !== "object" || value === null) return false;
  const { role, content, tool_calls: calls } = value as Partial<Message>;
  return typeof role === "string" && (typeof content === "string" || Array.isArray(calls));
}
