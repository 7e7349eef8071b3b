/** Errors in the form of OpenAI's API. */
import { BusyError, ConfigError, ConstraintError, DataError, OutOfMemoryError } from "@trimtab/core";

interface ApiErrorOptions extends ErrorOptions {
  /** The request's field that is wrong. */
  readonly param?: string | undefined;
  readonly code?: string | undefined;
  /** Default: invalid_request_error below status 500, else server_error. */
  readonly type?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What a client is told, with which status. */
export class ApiError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly #options: ApiErrorOptions;

  constructor(status: number, message: string, options: ApiErrorOptions = {}) {
    super(message, options);
    this.name = "ApiError";
    this.status = status;
    this.headers = options.headers ?? {};
    this.#options = options;
  }

  toJSON(): object {
    const { param = null, code = null, type = this.status < 500 ? "invalid_request_error" : "server_error" } = this.#options;
    return { error: { message: this.message, type, param, code } };
  }
}

/** A field that is known and not supported. */
export function unsupported(param: string, message: string): ApiError {
  return new ApiError(400, message, { param, code: "unsupported_parameter" });
}

/** Anything thrown, as what the client may know of it. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof BusyError) {
    return new ApiError(429, error.message, {
      code: "rate_limit_exceeded",
      type: "rate_limit_error",
      headers: { "retry-after": "1" },
      cause: error,
    });
  }
  if (error instanceof OutOfMemoryError) return new ApiError(400, error.message, { code: "context_length_exceeded", cause: error });
  if (error instanceof ConstraintError) {
    return new ApiError(400, error.message, { param: "response_format", code: "unsupported_schema", cause: error });
  }
  if (error instanceof ConfigError || error instanceof DataError) return new ApiError(400, error.message, { cause: error });
  return new ApiError(500, "The server failed; its log says why.", { cause: error });
}
