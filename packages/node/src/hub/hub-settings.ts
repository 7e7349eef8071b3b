/** What the environment says about the Hugging Face hub, by the rules of Python's huggingface_hub (its constants.py and utils/_auth.py). */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { HUB_ENDPOINT } from "@trimtab/core";

/** Variables of the environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface HubSettings {
  /** Without a slash at the end. */
  readonly endpoint: string;
  /** Holds a directory `models--org--name` for each model. */
  readonly cacheDirectory: string;
  /** The cache alone is used. */
  readonly isOffline: boolean;
  readonly token: string | undefined;
}

/** `HF_ENDPOINT`; `HF_HUB_CACHE`, else `HF_HOME` or `XDG_CACHE_HOME`; `HF_HUB_OFFLINE`; `HF_TOKEN`, else the file that `hf auth login` writes. */
export function hubSettings(environment: Environment = process.env): HubSettings {
  const variable = (name: string) => environment[name] || undefined;
  const home = expanded(variable("HF_HOME") ?? join(variable("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "huggingface"), environment);
  const tokenPath = expanded(variable("HF_TOKEN_PATH") ?? join(home, "token"), environment);
  const isImplicit = !isTrue(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN"));
  return {
    endpoint: (variable("HF_ENDPOINT") ?? HUB_ENDPOINT).replace(/\/+$/, ""),
    cacheDirectory: expanded(variable("HF_HUB_CACHE") ?? variable("HUGGINGFACE_HUB_CACHE") ?? join(home, "hub"), environment),
    isOffline: isTrue(variable("HF_HUB_OFFLINE") ?? variable("TRANSFORMERS_OFFLINE")),
    token: isImplicit ? clean(variable("HF_TOKEN") ?? variable("HUGGING_FACE_HUB_TOKEN") ?? contentsOf(tokenPath)) : undefined,
  };
}

/** `~` and `$VARIABLE` in a path; variables that are not set stay, as in Python's `os.path.expandvars`. */
function expanded(path: string, environment: Environment): string {
  const fromHome = path === "~" || path.startsWith("~/") ? homedir() + path.slice(1) : path;
  return fromHome.replace(/\$(?:(\w+)|\{(\w+)\})/g, (text, bare, braced) => environment[bare ?? braced] ?? text);
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && ["1", "ON", "YES", "TRUE"].includes(value.toUpperCase());
}

function clean(token: string | undefined): string | undefined {
  return token?.replace(/[\r\n]/g, "").trim() || undefined;
}

function contentsOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
