/** `<studio-samples>`: completions of the same prompt beside each other, such as the trained model's and the reference's, shaded by token. */
import { css, html, LitElement, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";
import { formatSigned, formatValue } from "./numbers";
import { SHADES, shadeColours } from "./palette";
import type { SampleGroup, ShownSample } from "./sample-group";
import type { Segment, StudioSegments } from "./segments";
import { MEASURES, type Measure, measured, scaleOf, shadeClass } from "./token-measures";
import "./segments";
import "./token-text";

@customElement("studio-samples")
export class StudioSamples extends LitElement {
  static override styles = [
    elementTokens,
    controls,
    shadeColours,
    css`
      .bar {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        justify-content: space-between;
        gap: var(--_space-3) var(--_space-5);
        margin-bottom: var(--_space-3);
      }
      .legend {
        display: flex;
        align-items: center;
        gap: var(--_space-2);
        margin: 0;
        color: var(--_text-muted);
        font-size: var(--_size-small);
      }
      .legend span {
        display: flex;
        border: 1px solid var(--_border);
        border-radius: 0.25rem;
        overflow: hidden;
      }
      .legend i {
        width: 1.125rem;
        height: 0.875rem;
      }
      .groups {
        display: grid;
        gap: var(--_space-4);
      }
      .prompt {
        padding-bottom: var(--_space-3);
        border-bottom: 1px solid var(--_border);
        font-weight: 600;
      }
      .columns {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr));
        gap: var(--_space-4) var(--_space-5);
        padding-top: var(--_space-3);
      }
      header {
        display: flex;
        flex-wrap: wrap;
        align-items: baseline;
        gap: 0 var(--_space-3);
        margin-bottom: var(--_space-1);
        color: var(--_text-muted);
        font-size: var(--_size-small);
      }
      header strong {
        color: var(--_text);
      }
      header b {
        color: var(--_text);
        font-variant-numeric: tabular-nums;
      }
      .help {
        flex-basis: 100%;
        margin: 0;
        color: var(--_text-muted);
        font-size: var(--_size-small);
      }
    `,
  ];

  @property({ attribute: false }) groups: readonly SampleGroup[] = [];

  @state() private measure: Measure = "ratio";

  override render() {
    const tokens = this.groups.flatMap(({ samples }) => samples.flatMap((sample) => sample.tokens ?? []));
    const known = (Object.keys(MEASURES) as (keyof typeof MEASURES)[]).filter((measure) =>
      tokens.some((token) => measured(token, measure) !== undefined),
    );
    const measure = this.measure !== "none" && known.includes(this.measure) ? this.measure : "none";
    const scale = measure === "none" ? 1 : scaleOf(tokens, measure);
    return html`${known.length === 0 ? nothing : this.#bar(known, measure, scale)}
      <div class="groups">
        ${this.groups.map(
          ({ prompt, samples }) =>
            html`<article class="card">
              <p class="text prompt">${prompt}</p>
              <div class="columns">${samples.map((sample) => this.#sample(sample, measure, scale))}</div>
            </article>`,
        )}
      </div>`;
  }

  #bar(known: readonly (keyof typeof MEASURES)[], chosen: Measure, scale: number) {
    const all: readonly Measure[] = ["none", ...known];
    const { low, high, help } = chosen === "none" ? { low: undefined, high: "", help: "" } : MEASURES[chosen];
    const shades = Array.from({ length: low === undefined ? SHADES + 1 : 2 * SHADES + 1 }, (_, i) => (low === undefined ? i : i - SHADES));
    return html`<div class="bar">
      <studio-segments
        label="Shade tokens by"
        .choices=${all.map((measure): Segment => [measure, measure === "none" ? "Plain" : MEASURES[measure].label])}
        .value=${chosen}
        @change=${(event: Event) => (this.measure = (event.target as StudioSegments).value as Measure)}
      ></studio-segments>
      ${
        chosen === "none"
          ? nothing
          : html`<p class="legend">
                ${low === undefined ? "likely" : `${low} ${formatSigned(-scale)}`}
                <span aria-hidden="true">${shades.map((shade) => html`<i class=${shadeClass(shade, chosen)}></i>`)}</span>
                ${low === undefined ? high : `${formatSigned(scale)} ${high}`}
              </p>
              <p class="help">${help}</p>`
      }
    </div>`;
  }

  #sample({ title, completion, reward, advantage, tokens }: ShownSample, measure: Measure, scale: number) {
    const hasReference = tokens?.some(({ refLogp }) => refLogp !== undefined);
    const kl = tokens?.reduce((sum, token) => sum + (measured(token, "ratio") ?? 0), 0);
    return html`<section>
      <header>
        ${title ? html`<strong>${title}</strong>` : nothing}
        ${typeof reward === "number" ? html`<span>reward <b>${formatValue(reward)}</b></span>` : nothing}
        ${advantage === undefined ? nothing : html`<span>advantage <b>${formatSigned(advantage)}</b></span>`}
        ${hasReference && kl !== undefined ? html`<span>log-ratio <b>${formatSigned(kl)}</b></span>` : nothing}
      </header>
      ${
        tokens && tokens.length > 0
          ? html`<studio-token-text .tokens=${tokens} .measure=${measure} .scale=${scale} .label=${title ?? "Completion"}></studio-token-text>`
          : html`<p class="text">${completion}</p>`
      }
    </section>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-samples": StudioSamples;
  }
}
