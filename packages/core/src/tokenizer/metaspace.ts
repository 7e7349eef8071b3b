/** Metaspace, which the pre-tokenizer and the decoder of that name share. */
import type { JsonField } from "./json-field";

/** U+2581, the space of SentencePiece's vocabularies. */
export const METASPACE = "\u2581";

/** True where U+2581 is at a place in UTF-8 that ends at `end`. */
export function isMetaspace(bytes: Uint8Array, at: number, end: number): boolean {
  return bytes[at] === 0xe2 && at + 2 < end && bytes[at + 1] === 0x96 && bytes[at + 2] === 0x81;
}

/** A Metaspace's fields, also where it is a decoder. */
export function readMetaspaceFields(component: JsonField): { replacement: string; scheme: "always" | "first" | "never"; splits: boolean } {
  const replacement = readCharacter(component.get("replacement"), METASPACE);
  const scheme = component.get("prepend_scheme").oneOf(["always", "first", "never"] as const, "always");
  // The older field says the same: false is "never".
  const isNever = component.get("prepend_scheme").isAbsent && !component.get("add_prefix_space").boolean(true);
  return { replacement, scheme: isNever ? "never" : scheme, splits: component.get("split").boolean(true) };
}

/** A field of exactly one character. */
export function readCharacter(field: JsonField, fallback?: string): string {
  const text = field.string(fallback);
  if (Array.from(text).length !== 1) throw field.must("one character");
  return text;
}
