/** The messages between the engine's thread and the worker that runs a user's reward functions. */

/** Starts the worker: which modules to load, as `path` or `path#export`. */
export interface RewardWorkerData {
  readonly modules: readonly string[];
}

/** To the worker. */
export type RewardRequest =
  | { readonly type: "call"; readonly id: number; readonly index: number; readonly args: Readonly<Record<string, unknown>> }
  | { readonly type: "abort"; readonly id: number };

/** From the worker. */
export type RewardReply =
  | { readonly type: "ready"; readonly names: readonly string[] }
  | { readonly type: "failed"; readonly message: string }
  | {
      readonly type: "result";
      readonly id: number;
      readonly values: unknown;
      readonly extras: readonly (readonly [column: string, values: unknown])[];
      readonly metrics: readonly (readonly [name: string, value: number])[];
    }
  | { readonly type: "error"; readonly id: number; readonly message: string };
