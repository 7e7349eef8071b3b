/** Reads values of tokenizer.json, of which nothing can be taken for granted: each with its path, for errors that name it. */
import { unsupported } from "./tokenizer-error";

/** A value somewhere in tokenizer.json. Null is the same as absent. */
export class JsonField {
  readonly value: unknown;
  /** Such as `model.merges[3]`; tokenizer.json itself has none. */
  readonly path: string;

  constructor(value: unknown, path: string) {
    this.value = value;
    this.path = path;
  }

  get isAbsent(): boolean {
    return this.value === undefined || this.value === null;
  }

  /** The error for this field; throw it. */
  must(be: string, options?: ErrorOptions): Error {
    return unsupported(this.path === "" ? "tokenizer.json" : this.path, be, this.value, options);
  }

  /** A member of an object; absent where there is none. */
  get(name: string): JsonField {
    const object = this.object();
    return new JsonField(Object.hasOwn(object, name) ? object[name] : undefined, this.path === "" ? name : `${this.path}.${name}`);
  }

  object(): Record<string, unknown> {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value)) throw this.must("an object");
    return this.value as Record<string, unknown>;
  }

  /** The items of an array; none where it is absent and `isOptional`. */
  items(isOptional = false): JsonField[] {
    return Array.from(this.array(isOptional), (item, i) => new JsonField(item, `${this.path}[${i}]`));
  }

  array(isOptional = false): readonly unknown[] {
    if (isOptional && this.isAbsent) return [];
    if (!Array.isArray(this.value)) throw this.must("an array");
    return this.value;
  }

  string(fallback?: string): string {
    if (this.isAbsent && fallback !== undefined) return fallback;
    if (typeof this.value !== "string") throw this.must("a string");
    return this.value;
  }

  boolean(fallback?: boolean): boolean {
    if (this.isAbsent && fallback !== undefined) return fallback;
    if (typeof this.value !== "boolean") throw this.must("true or false");
    return this.value;
  }

  /** An integer from `least` to 2^32 - 1. */
  integer(least: number, fallback?: number): number {
    if (this.isAbsent && fallback !== undefined) return fallback;
    if (!Number.isInteger(this.value) || (this.value as number) < least || (this.value as number) > 0xffffffff) {
      throw this.must(`an integer of at least ${least}`);
    }
    return this.value as number;
  }

  number(): number {
    if (typeof this.value !== "number" || !Number.isFinite(this.value)) throw this.must("a number");
    return this.value;
  }

  oneOf<T extends string>(values: readonly T[], fallback?: T): T {
    if (this.isAbsent && fallback !== undefined) return fallback;
    if (!values.includes(this.value as T)) throw this.must(listed(values.map((value) => `"${value}"`)));
    return this.value as T;
  }
}

/** "a, b or c" */
export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

/** A component's reader by its `type`. */
export type Readers<T> = Readonly<Record<string, (component: JsonField) => T>>;

/** Reads a component by its `type`; an unknown one is refused with the list of those known. */
export function readComponent<T>(component: JsonField, readers: Readers<T>): T {
  const type = component.get("type");
  const known = Object.keys(readers);
  if (typeof type.value !== "string" || !Object.hasOwn(readers, type.value)) throw type.must(listed(known));
  return readers[type.value]!(component);
}
