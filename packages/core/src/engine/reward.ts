/** Where the rewards of an engine's run come from. */
import type { RewardFunction } from "../rl/rewards";

/** A reward on the engine: a function of the caller's, a rule that ships with Trimtab, or a reward model. */
export type EngineReward<Model> =
  | RewardFunction
  | { readonly rule: string; readonly options?: Readonly<Record<string, unknown>> | undefined }
  | {
      readonly model: Model;
      /** Default "reward_model". */
      readonly name?: string | undefined;
      /** Use the model's gain and bias. Default true; a model without any is as it is. */
      readonly normalize?: boolean | undefined;
    };
