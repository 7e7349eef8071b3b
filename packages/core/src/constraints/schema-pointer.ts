/** Schemas, and where a $ref leads. */

export interface SchemaObject {
  readonly [keyword: string]: unknown;
}
export type Schema = boolean | SchemaObject;

/** The schema that a JSON pointer ("#", "#/$defs/node") names; undefined where there is none, and for other documents. */
export function schemaAt(root: Schema, pointer: string): Schema | undefined {
  if (pointer !== "#" && !pointer.startsWith("#/")) return undefined;
  let value: unknown = root;
  for (const part of pointer.split("/").slice(1)) {
    const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value as Schema;
}
