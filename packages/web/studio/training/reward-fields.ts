/** What earns reward: models, rules and an endpoint to choose from, as fields of a form and as rewards of a run. */
import type { DatasetRow } from "@trimtab/core";
import { html, nothing } from "lit";
import type { RunReward, StudioModel } from "../store";
import { RULES } from "./reward-choices";

/** What is chosen, and what was written to go with it. An endpoint's key is the form's alone. */
export interface RewardFields {
  /** `model:<id>`, `rule:<name>` or the endpoint. */
  readonly chosen: ReadonlySet<string>;
  readonly baseUrl: string;
  readonly endpointModel: string;
  /** By rule. */
  readonly texts: Readonly<Record<string, string>>;
}

const ENDPOINT = "endpoint";

export const NO_REWARD: RewardFields = { chosen: new Set(), baseUrl: "http://localhost:11434/v1", endpointModel: "", texts: {} };

/** The fields; `change` is told every choice. The endpoint's key is the input `key` of the form around them. */
export function rewardFields(
  fields: RewardFields,
  { models, prompts }: { readonly models: readonly StudioModel[]; readonly prompts: readonly DatasetRow[] },
  change: (fields: RewardFields) => void,
) {
  const { chosen, texts } = fields;
  const rewardModels = models.filter(({ kind }) => kind === "score");
  const toggle = (id: string) => () => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    change({ ...fields, chosen: next });
  };
  const box = (id: string, label: string, help: string) =>
    html`<label class="check"><input type="checkbox" .checked=${chosen.has(id)} @change=${toggle(id)} />${label}</label>
      <p class="help">${help}</p>`;
  const has = (column: string) => prompts.some((row) => row[column] !== undefined);
  return html`<fieldset>
    <legend>What earns reward</legend>
    <ul class="rewards">
      ${rewardModels.map(({ id, name, origin }) => html`<li>${box(`model:${id}`, name, `Reward model, ${origin}: its score.`)}</li>`)}
      ${RULES.filter(({ column }) => column === undefined || has(column)).map(
        ({ rule, label, help, text }) => html`<li>
          ${box(`rule:${rule}`, label, help)}
          ${
            text && chosen.has(`rule:${rule}`)
              ? html`<label class="pattern"
                  >${text.label}<input
                    .value=${texts[rule] ?? ""}
                    placeholder=${text.placeholder}
                    @input=${(event: Event) => change({ ...fields, texts: { ...texts, [rule]: (event.target as HTMLInputElement).value } })}
                /></label>`
              : nothing
          }
        </li>`,
      )}
      <li>
        ${box(ENDPOINT, "A model at an endpoint", "Rates each completion from 1 to 10. Prompts and completions are sent there.")}
        ${chosen.has(ENDPOINT) ? endpointFields(fields, change) : nothing}
      </li>
    </ul>
    <p class="help">${
      rewardModels.length === 0
        ? "Train a reward model first to be rewarded by your own feedback. Several rewards are added up."
        : "Several are added up."
    }</p>
  </fieldset>`;
}

function endpointFields(fields: RewardFields, change: (fields: RewardFields) => void) {
  return html`<label class="pattern"
      >Address, up to its version<input
        .value=${fields.baseUrl}
        spellcheck="false"
        @input=${(event: Event) => change({ ...fields, baseUrl: (event.target as HTMLInputElement).value })}
    /></label>
    <label class="pattern"
      >Model at the endpoint<input
        .value=${fields.endpointModel}
        autocomplete="off"
        @input=${(event: Event) => change({ ...fields, endpointModel: (event.target as HTMLInputElement).value })}
    /></label>
    <label class="pattern">API key, if it needs one; it is kept nowhere<input name="key" type="password" autocomplete="off" /></label>`;
}

/** What is missing of a choice, and what to do; undefined where it will do. */
export function missingReward({ chosen, baseUrl, endpointModel, texts }: RewardFields): string | undefined {
  if (chosen.size === 0) return "Choose what earns reward.";
  if (chosen.has(ENDPOINT) && !(baseUrl.trim() && endpointModel.trim())) return "Say which model, at which address, rates the completions.";
  const empty = RULES.find(({ rule, text }) => text && chosen.has(`rule:${rule}`) && !texts[rule]);
  return empty ? `Fill in the ${empty.text?.label.toLowerCase().replace(/ \(.*/, "")} of “${empty.label}”.` : undefined;
}

/** The rewards of a run with these choices. */
export function rewardsOf(
  { chosen, baseUrl, endpointModel, texts }: RewardFields,
  models: readonly StudioModel[],
  hasKey: boolean,
): readonly RunReward[] {
  return [...chosen].map((choice): RunReward => {
    if (choice === ENDPOINT) return { endpoint: { baseUrl: baseUrl.trim(), model: endpointModel.trim(), hasKey } };
    const [kind, id = ""] = choice.split(/:(.*)/s);
    if (kind === "model") return { modelId: id, name: models.find((model) => model.id === id)?.name };
    const text = RULES.find(({ rule }) => rule === id)?.text;
    return text ? { rule: id, options: { [text.option]: texts[id] } } : { rule: id };
  });
}
