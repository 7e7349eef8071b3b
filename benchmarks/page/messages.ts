/** What the page and its measuring worker say to each other. */
import type { PlatformResult, Runtime } from "../src/measure/platform";
import type { Reading } from "../src/measure/readings";

/** A device of the browser to measure. */
export interface Choice {
  readonly id: string;
  readonly label: string;
  readonly device: "wasm" | "webgpu";
  readonly relaxed?: boolean;
  /** By default as many as the processor has. */
  readonly threads?: number;
}

export interface MeasureRequest {
  readonly choice: Choice;
  readonly runtime: Runtime;
  readonly quick: boolean;
  /** Of the English text. */
  readonly textUrl: string;
}

/** Readings as they come, then the result or why there is none. */
export type MeasureReply =
  | { readonly kind: "reading"; readonly reading: Reading }
  | { readonly kind: "result"; readonly result: PlatformResult }
  | { readonly kind: "missing"; readonly reason: string };
