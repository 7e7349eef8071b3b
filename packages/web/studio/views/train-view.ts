/** Step 5: what training is, and the views of it. */
import { html } from "lit";
import { customElement } from "lit/decorators.js";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";
import "../training/training-view";

@customElement("studio-train-view")
export class TrainView extends StudioElement {
  static override styles = viewStyles;

  protected override render() {
    return html`
      <h1>Teach it</h1>
      <p class="lead">
        A reward model learns your taste; DPO and KTO learn from your answers directly; GRPO and PPO let the model try, and follow the reward.
      </p>
      <studio-training class="stack" .studio=${this.studio}></studio-training>
    `;
  }
}
