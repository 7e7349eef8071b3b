/** One zod object is the only source of a command's options: flags, YAML keys, help text, types and checks all come from it. */
import { readFileSync } from "node:fs";
import { ConfigError } from "@trimtab/core";
import { type Command, Option } from "commander";
import { distance } from "fastest-levenshtein";
import { parse as parseYaml } from "yaml";
import { z } from "zod";

/** What the command line must know of one field, read from the zod object's JSON Schema. */
interface Field {
  /** camelCase, as in the library. */
  readonly key: string;
  readonly kind: "string" | "number" | "boolean" | "list";
  readonly itemKind: "string" | "number";
  /** A value may be left out: `--resume-from-checkpoint` alone means true. */
  readonly bareAllowed: boolean;
  readonly choices: readonly string[];
  readonly description: string;
  readonly default: unknown;
  readonly aliases: readonly string[];
}

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly description?: string;
  readonly default?: unknown;
  readonly aliases?: readonly string[];
}

/** Words begin at capitals, and at counts of bits: `loadIn4bit` is `load-in-4bit`. */
const kebab = (key: string) => key.replace(/[A-Z]|(?<=[a-z])\d+(?=bit)/g, (c) => `-${c.toLowerCase()}`);
const snake = (key: string) => kebab(key).replaceAll("-", "_");

function fieldsOf(schema: z.ZodObject): Field[] {
  const { properties = {} } = z.toJSONSchema(schema, { io: "input" }) as { properties?: Record<string, JsonSchema> };
  return Object.entries(properties).map(([key, json]) => {
    const options = json.anyOf ?? [json];
    const types = options.map((option) => option.type ?? (option.enum ? "string" : undefined));
    const list = options.find((option) => option.type === "array");
    const numeric = (type: string | undefined) => type === "number" || type === "integer";
    const kind = list ? "list" : types.some(numeric) ? "number" : types.every((t) => t === "boolean") ? "boolean" : "string";
    return {
      key,
      kind,
      itemKind: numeric(list?.items?.type) ? "number" : "string",
      bareAllowed: types.includes("boolean"),
      choices: options.flatMap((option) => option.enum ?? []).map(String),
      description: json.description ?? "",
      default: json.default,
      aliases: json.aliases ?? [],
    };
  });
}

/** Adds a flag for every field to a command, and `--config`. */
export function addOptions(command: Command, schema: z.ZodObject): Command {
  command.addOption(new Option("--config <file>", "YAML file of options under TRL's names; flags override it"));
  for (const field of fieldsOf(schema)) {
    const placeholder =
      field.kind === "list" ? "<values...>" : field.bareAllowed ? "[value]" : `<${field.kind === "number" ? "n" : "value"}>`;
    const choices = field.choices.length > 0 ? ` (${field.choices.join(" | ")})` : "";
    const shown = field.default === undefined ? "" : ` [${field.default}]`;
    const option = new Option(`--${kebab(field.key)} ${placeholder}`, `${field.description}${choices}${shown}`);
    option.argParser((value: string, previous: unknown) => {
      if (field.kind !== "list") return coerce(value, field.kind, field.bareAllowed);
      const items = (field.itemKind === "number" ? value.split(",") : [value]).map((item) => coerce(item, field.itemKind, false));
      return Array.isArray(previous) ? [...previous, ...items] : items;
    });
    command.addOption(option);
    if (field.kind === "boolean") command.addOption(new Option(`--no-${kebab(field.key)}`).hideHelp());
  }
  return command;
}

/** Every flag of a schema, aliases included. */
export function flagNames(schema: z.ZodObject): string[] {
  return ["--config", ...fieldsOf(schema).flatMap((field) => [`--${kebab(field.key)}`, ...field.aliases.map((alias) => `--${alias}`)])];
}

/** Text from the command line as the value it stands for; what does not parse stays text, for the schema to refuse. */
function coerce(value: string, kind: Field["kind"], orBoolean: boolean): unknown {
  if (orBoolean && /^(true|yes|on)$/i.test(value)) return true;
  if (orBoolean && /^(false|no|off)$/i.test(value)) return false;
  if (kind === "number" && value.trim() !== "" && Number.isFinite(Number(value))) return Number(value);
  return value;
}

/** Writes `--snake_case` flags and aliases as the flag the command declares; values are left alone. */
export function normaliseArguments(argv: readonly string[], schema: z.ZodObject): string[] {
  const aliases = new Map(fieldsOf(schema).flatMap((field) => field.aliases.map((alias) => [alias, kebab(field.key)] as const)));
  const end = argv.indexOf("--");
  return argv.map((argument, i) => {
    if (!argument.startsWith("--") || (end >= 0 && i >= end)) return argument;
    const [name = "", ...value] = argument.slice(2).split("=");
    const flag = name.replaceAll("_", "-");
    return [`--${aliases.get(flag) ?? flag}`, ...value].join("=");
  });
}

/** Options that the schema's `preset` field, where it has one, names for a value of it. */
function presetOptions(schema: z.ZodObject, name: unknown): Readonly<Record<string, unknown>> {
  const field = schema.shape.preset as z.ZodType | undefined;
  const { presets } = (field?.meta() ?? {}) as { readonly presets?: Readonly<Record<string, Readonly<Record<string, unknown>>>> };
  return presets?.[String(name)] ?? {};
}

/** The options of a run: defaults, then a preset, the YAML file, and flags. Throws ConfigError listing every problem at once. */
export function resolveOptions<S extends z.ZodObject>(where: string, schema: S, flags: Readonly<Record<string, unknown>>): z.output<S> {
  const { config, ...given } = flags;
  const fields = fieldsOf(schema);
  const fromFile = typeof config === "string" ? readConfig(config, fields) : {};
  const known = new Set(fields.map((field) => field.key));
  const fromFlags = Object.fromEntries(Object.entries(given).filter(([key, value]) => value !== undefined && known.has(key)));
  const preset = presetOptions(schema, fromFlags.preset ?? fromFile.preset);
  const result = schema.safeParse({ ...preset, ...fromFile, ...fromFlags });
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const key = String(issue.path[0] ?? "");
    const got = { ...fromFile, ...fromFlags }[key];
    return `  --${kebab(key)}: ${got === undefined ? "it must be given" : `${issue.message}, got ${JSON.stringify(got)}`}`;
  });
  throw new ConfigError(
    `${where}: every option must be valid, got ${problems.length} problem${problems.length > 1 ? "s" : ""}:\n${problems.join("\n")}\nSee ${where} --help.`,
  );
}

/** Reads a YAML mapping under snake_case names. Throws ConfigError for unknown keys, with the closest known ones. */
function readConfig(path: string, fields: readonly Field[]): Record<string, unknown> {
  let yaml: unknown;
  try {
    yaml = parseYaml(readFileSync(path, "utf8")) ?? {};
  } catch (cause) {
    throw new ConfigError(
      `${path}: --config must be a readable YAML file, got ${cause instanceof Error ? cause.message : String(cause)}.`,
      { cause },
    );
  }
  if (typeof yaml !== "object" || yaml === null || Array.isArray(yaml)) {
    throw new ConfigError(`${path}: --config must be a YAML mapping of option names to values, got ${JSON.stringify(yaml)}.`);
  }
  const byName = new Map(fields.flatMap((field) => [field.key, ...field.aliases].map((name) => [snake(name), field] as const)));
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(yaml)) {
    const field = byName.get(name.replaceAll("-", "_"));
    if (!field) problems.push(`  ${name}: unknown option.${closeMatches(name, [...byName.keys()])}`);
    else if (value !== null) values[field.key] = field.kind === "list" && !Array.isArray(value) ? [value] : value;
  }
  if (problems.length > 0)
    throw new ConfigError(`${path}: every key must be an option, got ${problems.length} that are not:\n${problems.join("\n")}`);
  return values;
}

/** " Did you mean a, b?", or nothing. */
export function closeMatches(name: string, known: readonly string[]): string {
  const near = known
    .map((candidate) => ({ candidate, away: distance(name.replaceAll("-", "_"), candidate.replaceAll("-", "_")) }))
    .filter(({ candidate, away }) => away <= Math.max(2, Math.floor(candidate.length * 0.34)))
    .sort((a, b) => a.away - b.away)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
  return near.length > 0 ? ` Did you mean ${near.join(", ")}?` : "";
}
