/** The typed errors of the learning layer; all extend TrimtabError of @trimtab/kernels and carry a stable `code`. */
import { TrimtabError } from "@trimtab/kernels";

/** An option is out of range or contradicts another; the message lists every bad field at once. */
export class ConfigError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("CONFIG", message, options);
  }
}

/** A dataset row is malformed: `line` (1-based) and `field` say where, when known. */
export class DataError extends TrimtabError {
  readonly line: number | undefined;
  readonly field: string | undefined;
  constructor(message: string, where: { line?: number; field?: string } = {}, options?: ErrorOptions) {
    super("DATA", message, options);
    this.line = where.line;
    this.field = where.field;
  }
}

/** A file of a model directory is missing, truncated, or contradicts another; `file` and `tensor` say where. */
export class CheckpointError extends TrimtabError {
  readonly file: string | undefined;
  readonly tensor: string | undefined;
  constructor(message: string, where: { file?: string; tensor?: string } = {}, options?: ErrorOptions) {
    super("CHECKPOINT", message, options);
    this.file = where.file;
    this.tensor = where.tensor;
  }
}

/** Files cannot be kept where they should be: no room, no permission, or no such storage. Bytes are undefined where nobody says. */
export class StorageError extends TrimtabError {
  readonly usageBytes: number | undefined;
  readonly quotaBytes: number | undefined;
  constructor(message: string, options: ErrorOptions & { readonly usageBytes?: number; readonly quotaBytes?: number } = {}) {
    super("STORAGE", message, options);
    this.usageBytes = options.usageBytes;
    this.quotaBytes = options.quotaBytes;
  }
}

/** A model could not be had from the Hugging Face hub: `status` is undefined where the hub did not answer, or what it sent is wrong. */
export class HubError extends TrimtabError {
  readonly repository: string | undefined;
  readonly file: string | undefined;
  readonly status: number | undefined;
  constructor(
    message: string,
    where: { readonly repository?: string; readonly file?: string | undefined; readonly status?: number | undefined } = {},
    options?: ErrorOptions,
  ) {
    super("HUB", message, options);
    this.repository = where.repository;
    this.file = where.file;
    this.status = where.status;
  }
}

/** A model's architecture is not one that Trimtab knows; the message lists the known ones. */
export class UnsupportedModelError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("UNSUPPORTED_MODEL", message, options);
  }
}

/** A reward function threw, timed out, or returned something that is not one finite number or null per completion. */
export class RewardError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("REWARD", message, options);
  }
}

/** An environment threw, timed out, or gave something that an episode cannot go on with. */
export class EnvironmentError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("ENVIRONMENT", message, options);
  }
}

/** A judge could not be asked, or gave what is not a judgement. */
export class JudgeError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("JUDGE", message, options);
  }
}

/** More is asked of a scheduler than it lets wait; ask again later. */
export class BusyError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("BUSY", message, options);
  }
}

/** A schema or a regular expression that completions cannot be held to; `feature` is the keyword or construct that is in the way. */
export class ConstraintError extends TrimtabError {
  readonly feature: string;
  constructor(message: string, feature: string, options?: ErrorOptions) {
    super("CONSTRAINT", message, options);
    this.feature = feature;
  }
}
