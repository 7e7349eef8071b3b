/**
 * JSON Schema as a language: every text of it is a valid value of the schema, though not every valid value is a text of it. Members come in the
 * order of `properties`; others come only where `additionalProperties` says so. What cannot be kept to is refused by name.
 */
import { ConstraintError } from "../errors";
import { complement, type Range } from "./code-points";
import { INTEGER_DIGITS, JsonText } from "./json-text";
import type { Language, Languages } from "./language";
import { expressionLanguage } from "./regular-expression";
import { areDisjoint } from "./schema-disjoint";
import { type Schema, type SchemaObject, schemaAt } from "./schema-pointer";
import { formats } from "./string-formats";

/** Say nothing about which values are valid. */
const ANNOTATIONS = new Set([
  "title",
  "description",
  "default",
  "examples",
  "$schema",
  "$id",
  "$comment",
  "deprecated",
  "readOnly",
  "writeOnly",
  "$defs",
  "definitions",
]);

type Kind = "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";

/** Keywords that are kept to, by the kind of value that they are about. */
const KEYWORDS: Readonly<Record<string, readonly Kind[]>> = {
  properties: ["object"],
  required: ["object"],
  additionalProperties: ["object"],
  items: ["array"],
  prefixItems: ["array"],
  minItems: ["array"],
  maxItems: ["array"],
  minLength: ["string"],
  maxLength: ["string"],
  pattern: ["string"],
  format: ["string"],
  minimum: ["number", "integer"],
  maximum: ["number", "integer"],
  exclusiveMinimum: ["number", "integer"],
  exclusiveMaximum: ["number", "integer"],
};
/** Keywords that say all there is to say: beside them may be annotations only. */
const WHOLE = ["$ref", "anyOf", "oneOf", "allOf", "const", "enum"] as const;

/** Throws ConstraintError naming the keyword that is not kept to, and for schemas that no finite text satisfies. */
export function schemaLanguage(languages: Languages, schema: Schema): Language {
  const language = new SchemaCompiler(languages, schema).compile(schema, "#");
  const faulty = languages.faultyRule();
  if (faulty) {
    const what = faulty.fault === "endless" ? "allow a finite value" : "not begin with itself";
    throw new ConstraintError(`json schema: every $ref must ${what}, got one that does not. Give it an end.`, "$ref");
  }
  return language;
}

class SchemaCompiler {
  readonly #languages: Languages;
  readonly #json: JsonText;
  readonly #root: Schema;
  /** Rules of the schemas that are referred to, by pointer. */
  readonly #rules = new Map<string, Language>();

  constructor(languages: Languages, root: Schema) {
    this.#languages = languages;
    this.#json = new JsonText(languages);
    this.#root = root;
  }

  /** `at` is where the schema is, for messages. */
  compile(schema: Schema, at: string): Language {
    if (typeof schema === "boolean") {
      if (schema) return this.#json.value;
      throw refusal(at, "false", "allow a value");
    }
    if (typeof schema !== "object" || schema === null || Array.isArray(schema)) throw refusal(at, "schema", "be an object or true", schema);
    for (const keyword of Object.keys(schema)) {
      const isKnown =
        ANNOTATIONS.has(keyword) || keyword === "type" || keyword in KEYWORDS || (WHOLE as readonly string[]).includes(keyword);
      if (!isKnown) throw refusal(at, keyword, `be without \`${keyword}\`, which is not supported`);
    }
    const whole = WHOLE.find((keyword) => keyword in schema);
    if (whole === "const" || whole === "enum") return this.#values(schema, at);
    if (whole) {
      const beside = Object.keys(schema).find((keyword) => keyword !== whole && !ANNOTATIONS.has(keyword));
      if (beside !== undefined) throw refusal(at, beside, `have nothing beside \`${whole}\`, got \`${beside}\``);
      return this.#combined(schema, whole, at);
    }
    return this.#languages.choice(...kindsOf(schema, at).map((kind) => this.#ofKind(kind, schema, at)));
  }

  #combined(schema: SchemaObject, keyword: "$ref" | "anyOf" | "oneOf" | "allOf", at: string): Language {
    if (keyword === "$ref") return this.#reference(schema.$ref, at);
    const options = schema[keyword];
    if (!Array.isArray(options) || options.length === 0) throw refusal(at, keyword, `have a list of schemas as \`${keyword}\``, options);
    if (keyword === "allOf" && options.length > 1) throw refusal(at, "allOf", "have one schema in `allOf`, got several");
    if (keyword === "oneOf" && !areDisjoint(options as Schema[], this.#root)) {
      throw refusal(at, "oneOf", "have options in `oneOf` that exclude each other by type or by a constant, got others. Use anyOf");
    }
    return this.#languages.choice(...options.map((option, i) => this.compile(option as Schema, `${at}/${keyword}/${i}`)));
  }

  #reference(pointer: unknown, at: string): Language {
    if (typeof pointer !== "string") throw refusal(at, "$ref", "have a text as `$ref`", pointer);
    const known = this.#rules.get(pointer);
    if (known) return known;
    const target = schemaAt(this.#root, pointer);
    if (target === undefined) throw refusal(at, "$ref", "refer to a schema within itself", pointer);
    const rule = this.#languages.newRule();
    this.#rules.set(pointer, rule.language);
    rule.define(this.compile(target, pointer));
    return rule.language;
  }

  #values(schema: SchemaObject, at: string): Language {
    const beside = Object.keys(schema).find((keyword) => !["const", "enum", "type"].includes(keyword) && !ANNOTATIONS.has(keyword));
    if (beside !== undefined) throw refusal(at, beside, `have nothing but \`type\` beside \`const\` and \`enum\`, got \`${beside}\``);
    const values = "const" in schema ? [schema.const] : schema.enum;
    if (!Array.isArray(values)) throw refusal(at, "enum", "have a list as `enum`", values);
    const listed = "const" in schema && Array.isArray(schema.enum) ? schema.enum.map((value) => JSON.stringify(value)) : undefined;
    const kinds = kindsOf(schema, at);
    const valid = values.filter(
      (value) => kinds.some((kind) => isOfKind(value, kind)) && (listed === undefined || listed.includes(JSON.stringify(value))),
    );
    if (valid.length === 0) throw refusal(at, "enum", "have a value of its type", values);
    return this.#languages.choice(...valid.map((value) => this.#json.literal(value)));
  }

  #ofKind(kind: Kind, schema: SchemaObject, at: string): Language {
    switch (kind) {
      case "object":
        return this.#object(schema, at);
      case "array":
        return this.#array(schema, at);
      case "string":
        return this.#string(schema, at);
      case "number":
      case "integer":
        return this.#number(kind, schema, at);
      case "boolean":
        return this.#languages.choice(this.#json.literal(true), this.#json.literal(false));
      case "null":
        return this.#json.literal(null);
    }
  }

  #object(schema: SchemaObject, at: string): Language {
    const { comma, colon } = this.#json;
    const languages = this.#languages;
    const { properties = {}, required = [], additionalProperties: others } = schema;
    if (typeof properties !== "object" || properties === null)
      throw refusal(at, "properties", "have an object as `properties`", properties);
    if (!Array.isArray(required) || !required.every((name) => typeof name === "string"))
      throw refusal(at, "required", "have a list of names as `required`", required);
    const names = Object.keys(properties);
    const missing = required.filter((name) => !names.includes(name));
    if (missing.length > 0 && others === false) throw refusal(at, "required", "have a property for each name in `required`", missing);
    const otherSchema = others === undefined ? true : (others as Schema);
    const members = [...names, ...new Set(missing)].map((name) => ({
      isRequired: required.includes(name),
      language: languages.sequence(
        this.#json.literal(name),
        colon,
        names.includes(name)
          ? this.compile((properties as Record<string, Schema>)[name] as Schema, `${at}/properties/${name}`)
          : this.compile(otherSchema, `${at}/additionalProperties`),
      ),
    }));
    // Where nothing is said of other members, leaving them out is valid; without any of its own, an object would always be empty.
    const hasOthers = others !== undefined ? others !== false : members.length === 0;
    const other = hasOthers
      ? languages.sequence(this.#otherName([...names, ...missing]), colon, this.compile(otherSchema, `${at}/additionalProperties`))
      : languages.nothing;
    const more = languages.sequence(comma, other);
    // What may follow when the members so far are none, or some.
    let none = hasOthers ? this.#json.list(other, 0, Number.POSITIVE_INFINITY) : languages.end;
    let some = languages.repeat(more, 0, Number.POSITIVE_INFINITY);
    for (const { isRequired, language } of members.toReversed()) {
      const begun = languages.sequence(language, some);
      const next = languages.sequence(comma, language, some);
      none = isRequired ? begun : languages.choice(begun, none);
      some = isRequired ? next : languages.choice(next, some);
    }
    return languages.sequence(this.#json.text("{"), none, this.#json.text("}"));
  }

  /** A name of none of the properties, without escapes: an escape could spell one of them. */
  #otherName(names: readonly string[]): Language {
    const languages = this.#languages;
    const any = languages.repeat(this.#json.plain([[0, 0x10ffff]]), 0, Number.POSITIVE_INFINITY);
    const without = (rests: readonly (readonly number[])[]): Language => {
      const heads = [...new Set(rests.flatMap(([head]) => (head === undefined ? [] : [head])))];
      const elsewhere = complement(heads.map((head): Range => [head, head]));
      return languages.choice(
        rests.some(({ length }) => length === 0) ? languages.nothing : languages.end,
        languages.sequence(this.#json.plain(elsewhere), any),
        ...heads.map((head) =>
          languages.sequence(
            this.#json.plain([[head, head]]),
            without(rests.filter(([first]) => first === head).map((rest) => rest.slice(1))),
          ),
        ),
      );
    };
    return this.#json.stringOf(
      names.length === 0 ? any : without(names.map((name) => Array.from(name, (c) => c.codePointAt(0) as number))),
    );
  }

  #array(schema: SchemaObject, at: string): Language {
    const languages = this.#languages;
    const { prefixItems = [], items = true } = schema;
    const min = this.#size(schema, "minItems", 0, at);
    const most = this.#size(schema, "maxItems", Number.POSITIVE_INFINITY, at);
    if (!Array.isArray(prefixItems)) throw refusal(at, "prefixItems", "have a list of schemas as `prefixItems`", prefixItems);
    const max = items === false ? Math.min(most, prefixItems.length) : most;
    if (min > max) throw refusal(at, "minItems", "allow at least `minItems` items", { minItems: min, maxItems: max });
    const prefix = prefixItems.slice(0, max).map((item, i) => this.compile(item as Schema, `${at}/prefixItems/${i}`));
    const item = max > prefix.length ? this.compile(items as Schema, `${at}/items`) : languages.nothing;
    const json = this.#json;
    const count = prefix.length;
    if (count === 0) return languages.sequence(json.text("["), json.list(item, min, max), json.text("]"));
    let rest = languages.repeat(languages.sequence(json.comma, item), Math.max(0, min - count), max - count);
    for (let i = count - 1; i >= 0; i--) {
      const here = languages.sequence(i > 0 ? json.comma : languages.end, prefix[i] as Language, rest);
      rest = i < min ? here : languages.optional(here);
    }
    return languages.sequence(json.text("["), rest, json.text("]"));
  }

  #string(schema: SchemaObject, at: string): Language {
    const { pattern, format } = schema;
    const min = this.#size(schema, "minLength", 0, at);
    const max = this.#size(schema, "maxLength", Number.POSITIVE_INFINITY, at);
    const rules = [pattern !== undefined, format !== undefined, min > 0 || max < Number.POSITIVE_INFINITY].filter(Boolean).length;
    if (rules > 1) throw refusal(at, "pattern", "have one of `pattern`, `format` and lengths, got several");
    if (min > max) throw refusal(at, "minLength", "allow at least `minLength` characters", { minLength: min, maxLength: max });
    const expression = (source: string, isSearch: boolean) =>
      this.#json.stringOf(expressionLanguage(this.#languages, source, { character: (ranges) => this.#json.character(ranges), isSearch }));
    if (pattern !== undefined) {
      if (typeof pattern !== "string") throw refusal(at, "pattern", "have a text as `pattern`", pattern);
      return expression(pattern, true);
    }
    if (format === undefined) return this.#json.stringOf(this.#json.characters(min, max));
    const source = formats.get(String(format));
    if (source === undefined) throw refusal(at, "format", `have one of ${[...formats.keys()].join(", ")} as \`format\``, format);
    return expression(source, false);
  }

  #number(kind: "number" | "integer", schema: SchemaObject, at: string): Language {
    const bound = (keyword: string): number | undefined => {
      const value = schema[keyword];
      if (value === undefined) return undefined;
      if (typeof value !== "number" || !Number.isFinite(value)) throw refusal(at, keyword, `have a number as \`${keyword}\``, value);
      if (kind === "number" && !Number.isInteger(value)) throw refusal(at, keyword, `have a whole number as \`${keyword}\``, value);
      return value;
    };
    const [minimum, above, maximum, below] = [bound("minimum"), bound("exclusiveMinimum"), bound("maximum"), bound("exclusiveMaximum")];
    if ([minimum, above, maximum, below].every((value) => value === undefined)) return this.#json[kind];
    const largest = 10 ** INTEGER_DIGITS - 1;
    const lo = Math.max(minimum ?? -largest, above ?? -largest);
    const hi = Math.min(maximum ?? largest, below ?? largest);
    const isOpen = { lo: above === lo, hi: below === hi };
    const language =
      kind === "integer"
        ? this.#json.integers(isOpen.lo ? Math.floor(lo) + 1 : Math.ceil(lo), isOpen.hi ? Math.ceil(hi) - 1 : Math.floor(hi))
        : this.#json.numbers(lo, hi, isOpen);
    if (language === this.#languages.nothing) throw refusal(at, "minimum", "allow a number between its bounds", { lo, hi });
    return language;
  }

  #size(schema: SchemaObject, keyword: string, absent: number, at: string): number {
    const value = schema[keyword] ?? absent;
    if (value === absent || (Number.isSafeInteger(value) && (value as number) >= 0)) return value as number;
    throw refusal(at, keyword, `have a whole number as \`${keyword}\``, value);
  }
}

const KINDS: readonly Kind[] = ["object", "array", "string", "number", "integer", "boolean", "null"];

/** The kinds of value that a schema allows: those it names, or those its keywords are about, or all. */
function kindsOf(schema: SchemaObject, at: string): readonly Kind[] {
  const { type } = schema;
  if (type === undefined) {
    const about = Object.keys(schema).flatMap((keyword) => KEYWORDS[keyword] ?? []);
    const kinds = about.length > 0 ? [...new Set(about)] : KINDS;
    return kinds.filter((kind) => kind !== "integer");
  }
  const named = [type].flat();
  const unknown = named.find((name) => !KINDS.includes(name as Kind));
  if (unknown !== undefined || named.length === 0) throw refusal(at, "type", `have one or more of ${KINDS.join(", ")} as \`type\``, type);
  return named as Kind[];
}

function isOfKind(value: unknown, kind: Kind): boolean {
  if (kind === "null") return value === null;
  if (kind === "array") return Array.isArray(value);
  if (kind === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return kind === "integer" ? Number.isInteger(value) : typeof value === kind;
}

function refusal(at: string, keyword: string, expected: string, got?: unknown): ConstraintError {
  const what = got === undefined ? "" : `, got ${JSON.stringify(got)}`;
  return new ConstraintError(`json schema: ${at} must ${expected}${what}. Change the schema.`, keyword);
}
