/** The error of everything in this folder. */
import { TrimtabError } from "@trimtab/kernels";

/** A tokenizer file is malformed or has something Trimtab does not support, or a tokenizer was asked for what it does not have. */
export class TokenizerError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("TOKENIZER", message, options);
  }
}

/** The error for a field of tokenizer.json outside what is supported. */
export function unsupported(field: string, must: string, got: unknown, options?: ErrorOptions): TokenizerError {
  const shown = JSON.stringify(got) ?? "nothing";
  return new TokenizerError(
    `Tokenizer.fromJSON: ${field} must be ${must}, got ${shown.length > 120 ? `${shown.slice(0, 120)}...` : shown}. Correct tokenizer.json or use a tokenizer of a supported kind.`,
    options,
  );
}
