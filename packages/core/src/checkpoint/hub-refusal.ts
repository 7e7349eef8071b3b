/** What the Hugging Face hub means by a status, as an error that says what to do; the same in Node and in browsers. */
import { HubError } from "../errors";
import type { HubModel } from "./hub-names";

/** What was asked of the hub. */
export interface HubRequest extends HubModel {
  readonly endpoint: string;
  /** Undefined for the repository itself. */
  readonly file?: string | undefined;
  readonly hasToken: boolean;
  /** How a token is given here, e.g. "Set HF_TOKEN". */
  readonly tokenAdvice: string;
}

/** The parts of a response that matter; `X-Error-Code` says what a status leaves open. */
export interface HubAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
}

/** The error for an answer that is no success. */
export function hubRefusal(request: HubRequest, { status, headers }: HubAnswer): HubError {
  const { repository, revision, file, endpoint, hasToken, tokenAdvice } = request;
  const code = headers.get("X-Error-Code");
  const said = headers.get("X-Error-Message");
  const got = `got status ${status}${code ? ` (${code})` : ""}${said ? `: ${said}` : ""}`;
  const page = `${endpoint}/${repository}`;
  const error = (message: string) => new HubError(message, { repository, file, status });
  if (code === "GatedRepo" || status === 403) {
    return error(
      `${repository}: you must have access, ${got}. Accept the licence on ${page}${hasToken ? " with the account of your token, which must be allowed to read gated repositories" : `. ${tokenAdvice}, of the account that accepted it`}.`,
    );
  }
  if (status === 401) {
    return error(
      hasToken
        ? `${repository}: the token must be valid and the repository exist, ${got}. Check both: ${page}.`
        : `${repository}: the repository must exist and be open to everybody, ${got} without a token. Check the name; where it is private or gated, accept its licence on ${page}. ${tokenAdvice}.`,
    );
  }
  if (code === "RevisionNotFound") {
    return error(`${repository}: the revision ${JSON.stringify(revision)} must exist, ${got}. Choose a branch, tag or commit of ${page}.`);
  }
  if (status === 404 && file !== undefined) {
    return error(`${repository}: the file ${file} must exist at ${JSON.stringify(revision)}, ${got}. See ${page}.`);
  }
  if (status === 404) {
    return error(
      `${repository}: the repository must exist, ${got}. Check the name${hasToken ? "" : `; where it is private: ${tokenAdvice}`}. See ${page}.`,
    );
  }
  if (status === 429) {
    const wait = headers.get("Retry-After");
    return error(
      `${repository}: ${endpoint} must answer, ${got}: too many requests${wait ? `, to be tried again after ${wait}` : ""}. Wait${hasToken ? "" : `, or ask with a token, for which the limit is higher. ${tokenAdvice}`}.`,
    );
  }
  return error(
    `${file ? `${repository}: ${file}` : repository} must come from ${endpoint}, ${got}. Try again later; see https://status.huggingface.co.`,
  );
}
