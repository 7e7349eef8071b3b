/** How models of the Hugging Face hub are named: `org/name`, or `org/name@revision`, the same in Node and in browsers. */
import { ConfigError } from "../errors";
import { describe } from "./json-file";

/** A model on the hub, by a value that can cross to the engine's thread. */
export interface HubPlace {
  /** `org/name`, or `org/name@revision`. */
  readonly hub: string;
  /** Branch, tag or commit. Default: the name's own, else `main`. */
  readonly revision?: string | undefined;
  /** Sent to the hub alone, never to where it redirects, and kept nowhere. */
  readonly token?: string | undefined;
  /** Another server that speaks the hub's protocol. Default: `HF_ENDPOINT` in Node, else https://huggingface.co. */
  readonly endpoint?: string | undefined;
}

/** A repository and the branch, tag or commit of it. */
export interface HubModel {
  readonly repository: string;
  readonly revision: string;
}

export const HUB_ENDPOINT = "https://huggingface.co";

const DEFAULT_REVISION = "main";

/** Letters, digits, `-`, `_` and `.`, at most 96, none of the last three kinds doubled or at an end (huggingface_hub's `validate_repo_id`, with an owner always). */
const PART = String.raw`[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?`;
const NAME = new RegExp(`^(${PART}/${PART})(?:@(.+))?$`);

/** What git allows in the name of a branch or tag, and no way out of a directory. */
const REVISION = /^(?!.*(?:\.\.|\/\/|@\{))[^\s~^:?*[\\/.-][^\s~^:?*[\\]*(?<![/.])$/;

/** The model that `text` names; undefined where no repository can have that name. */
export function parseHubName(text: string): HubModel | undefined {
  const [, repository, revision = DEFAULT_REVISION] = NAME.exec(text) ?? [];
  if (repository === undefined || /--|\.\./.test(repository) || repository.endsWith(".git") || !REVISION.test(revision)) return undefined;
  return { repository, revision };
}

/** The model of a place. Throws ConfigError for what no repository or revision can be called, and for two revisions. */
export function hubModelOf({ hub, revision }: Pick<HubPlace, "hub" | "revision">): HubModel {
  const named = parseHubName(hub);
  if (!named) throw new ConfigError(`hub: the name must be \`org/name\` or \`org/name@revision\`, got ${describe(hub)}. Correct it.`);
  if (revision === undefined) return named;
  if (hub.includes("@") && named.revision !== revision) {
    throw new ConfigError(`hub: one revision must be given, got ${describe(hub)} and ${describe(revision)}. Leave one of them out.`);
  }
  if (!REVISION.test(revision)) {
    throw new ConfigError(`hub: \`revision\` must be a branch, tag or commit, got ${describe(revision)}. Correct it.`);
  }
  return { ...named, revision };
}
