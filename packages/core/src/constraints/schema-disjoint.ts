/** Whether schemas exclude each other, as far as that is plain: by type, by constants, or by a constant of a required property. */
import { type Schema, schemaAt } from "./schema-pointer";

export function areDisjoint(schemas: readonly Schema[], root: Schema): boolean {
  return schemas.every((a, i) => schemas.slice(i + 1).every((b) => exclude(a, b, root, 8)));
}

/** `depth` bounds how far references and properties are followed. */
function exclude(a: Schema, b: Schema, root: Schema, depth: number): boolean {
  if (typeof a === "boolean" || typeof b === "boolean" || depth === 0) return a === false || b === false;
  if (typeof a.$ref === "string") return exclude(schemaAt(root, a.$ref) ?? true, b, root, depth - 1);
  if (typeof b.$ref === "string") return exclude(a, schemaAt(root, b.$ref) ?? true, root, depth - 1);
  const values = [valuesOf(a), valuesOf(b)];
  if (values[0] && values[1]) return !values[0].some((value) => values[1]?.includes(value));
  const types = [typesOf(a), typesOf(b)];
  if (types[0] && types[1] && !types[0].some((type) => types[1]?.includes(type))) return true;
  const shared = [a, b].map(({ required }) => (Array.isArray(required) ? (required as string[]) : []));
  const isObject = types.every((names) => names?.join() === "object");
  return (
    isObject &&
    (shared[0] ?? []).some((name) => shared[1]?.includes(name) && exclude(property(a, name), property(b, name), root, depth - 1))
  );
}

const property = (schema: Exclude<Schema, boolean>, name: string): Schema =>
  (schema.properties as Record<string, Schema> | undefined)?.[name] ?? true;

function valuesOf({ const: value, enum: values }: Exclude<Schema, boolean>): string[] | undefined {
  if (value !== undefined) return [JSON.stringify(value)];
  return Array.isArray(values) ? values.map((each) => JSON.stringify(each)) : undefined;
}

function typesOf(schema: Exclude<Schema, boolean>): string[] | undefined {
  if (schema.type === undefined) {
    const values = "const" in schema ? [schema.const] : schema.enum;
    return Array.isArray(values)
      ? values.map((value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value))
      : undefined;
  }
  return [schema.type].flat().map((type) => (type === "integer" ? "number" : String(type)));
}
