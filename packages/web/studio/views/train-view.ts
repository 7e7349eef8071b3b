/** Step 5: the frame of the training views. */
import { html } from "lit";
import { customElement } from "lit/decorators.js";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";

@customElement("studio-train-view")
export class TrainView extends StudioElement {
  static override styles = viewStyles;

  protected override render() {
    return html`
      <h1>Teach it</h1>
      <p class="lead">
        A reward model learns your taste; DPO and KTO learn from your answers directly; GRPO and PPO let the model try, and follow the reward.
      </p>
    `;
  }
}
