/** 1 where a completion holds JSON that a schema accepts. */
import { type Schema, type SchemaDraft, Validator } from "@cfworker/json-schema";
import { ConfigError, RewardError } from "../errors";
import type { RewardFunction } from "../rl/rewards";
import { completionText } from "./completion-text";
import { firstJson } from "./first-json";
import { type NamedRewardOptions, namedReward, rewardColumn } from "./named-reward";

export interface JsonSchemaRewardOptions extends NamedRewardOptions {
  /** The schema of every completion. */
  readonly schema?: Readonly<Record<string, unknown>> | boolean | undefined;
  /** The column of each row's schema, as an object or JSON text. Default "schema" where `schema` is not given. */
  readonly schemaColumn?: string | undefined;
  /** Draft of the schemas. Default "2020-12". */
  readonly draft?: SchemaDraft | undefined;
  /** Reward of JSON that the schema rejects. Default 0. */
  readonly parseScore?: number | undefined;
}

/**
 * Reward `json_schema_reward`: 1 where the first JSON value of the completion is valid, `parseScore` where it is not, 0 without JSON.
 * Schemas are interpreted, never compiled to code, so that a strict content security policy holds; references to other documents
 * are not fetched. Logs the first problem of each completion as `json_schema_error`.
 */
export function jsonSchemaReward(options: JsonSchemaRewardOptions = {}): RewardFunction {
  const { name = "json_schema_reward", schema, schemaColumn = "schema", draft = "2020-12", parseScore = 0 } = options;
  if (schema !== undefined && options.schemaColumn !== undefined) {
    throw new ConfigError(`${name}: \`schema\` and \`schemaColumn\` must not both be given, got both. Choose one.`);
  }
  const shared = schema === undefined ? undefined : new Validator(schema as Schema | boolean, draft);
  const problemOf = (text: string, validator: Validator): string | undefined => {
    const found = firstJson(text);
    if (found === undefined) return NO_JSON;
    const { valid, errors } = validator.validate(found.value);
    return valid ? undefined : (errors.at(-1)?.error ?? "it does not match");
  };
  return namedReward(name, (args) => {
    const schemas = shared ? undefined : rewardColumn(args, schemaColumn, name);
    const problems = args.completions.map((completion, b) => {
      const own = schemas?.[b];
      if (schemas && (own === null || own === undefined)) return null;
      return problemOf(completionText(completion), shared ?? new Validator(readSchema(name, own, b), draft));
    });
    args.logExtra(
      "json_schema_error",
      problems.map((problem) => problem ?? ""),
    );
    return problems.map((problem) => (problem === null ? null : problem === undefined ? 1 : problem === NO_JSON ? 0 : parseScore));
  });
}

const NO_JSON = "no JSON value";

function readSchema(where: string, value: unknown, row: number): Schema | boolean {
  const schema = typeof value === "string" ? firstJson(value)?.value : value;
  if (typeof schema === "boolean" || (typeof schema === "object" && schema !== null)) return schema;
  throw new RewardError(`${where}: a row's schema must be an object, got ${String(value)} for completion ${row}. Correct the dataset.`);
}
