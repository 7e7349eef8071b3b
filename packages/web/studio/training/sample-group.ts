/** Completions of one prompt beside each other, as JSON. */
import type { EngineToken } from "@trimtab/core";

/** One completion, and what is known of it. */
export interface ShownSample {
  /** Whose it is; left out where all are of one model. */
  readonly title?: string | undefined;
  readonly completion: string;
  readonly reward?: number | null | undefined;
  readonly advantage?: number | undefined;
  readonly tokens?: readonly EngineToken[] | undefined;
}

/** A prompt and its completions, each a column. */
export interface SampleGroup {
  readonly prompt: string;
  readonly samples: readonly ShownSample[];
}
