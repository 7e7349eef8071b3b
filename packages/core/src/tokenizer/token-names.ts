/** Names of special tokens in tokenizer_config.json. */
import type { JsonField } from "./json-field";

/** A string, or an object around one; undefined where it is absent. */
export function readNamedToken(field: JsonField): string | undefined {
  if (field.isAbsent) return undefined;
  return typeof field.value === "string" ? field.value : field.get("content").string();
}
