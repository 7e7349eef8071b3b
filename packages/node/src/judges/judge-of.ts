/** The judge of pairs that a command's options name. */
import { ConfigError, type Device, endpointPairwiseJudge, localPairwiseJudge, type PairwiseJudge } from "@trimtab/core";
import { loadNamedModel } from "../run/named-model";
import { apiKeyFrom } from "./api-key";

export interface JudgeFlags {
  /** A model directory, or the URL of an OpenAI-compatible endpoint. */
  readonly judge?: string | undefined;
  /** Name of the endpoint's model. */
  readonly judgeModel?: string | undefined;
  /** Environment variable with the endpoint's key. */
  readonly judgeApiKeyVariable?: string | undefined;
}

/** Undefined without `--judge`. Throws ConfigError for an endpoint without a model, or whose key is not set. */
export async function judgeOf({ judge, judgeModel, judgeApiKeyVariable }: JudgeFlags, device: Device): Promise<PairwiseJudge | undefined> {
  if (judge === undefined) return undefined;
  if (!/^https?:/.test(judge)) return localPairwiseJudge({ model: await loadNamedModel(judge, { device }) });
  if (judgeModel === undefined) {
    throw new ConfigError("--judge-model: the name of the endpoint's model must be given where --judge is a URL, got none. Give it.");
  }
  return endpointPairwiseJudge({
    baseUrl: judge,
    model: judgeModel,
    apiKey: judgeApiKeyVariable === undefined ? undefined : apiKeyFrom(judgeApiKeyVariable),
  });
}
