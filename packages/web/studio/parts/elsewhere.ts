/** In place of a view, where another tab has the session open: two tabs would overwrite each other's work. */
import { css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";

@customElement("studio-elsewhere")
export class Elsewhere extends StudioElement {
  static override styles = [
    viewStyles,
    css`
      .actions {
        margin-top: var(--_space-5);
      }
    `,
  ];

  @state() private isAsking = false;

  protected override render() {
    return html`<h1>Open in another tab</h1>
      <p class="lead">
        “${this.state.session.name}” is being worked on there, and each tab would overwrite what the other did. It opens here when the other is
        closed, or when that one lets go of it: all of it is kept, and a run pauses after its step.
      </p>
      <div class="row actions">
        <button class="primary" ?disabled=${this.isAsking} @click=${this.#takeOver}>${this.isAsking ? "Waiting for the other tab…" : "Go on here"}</button>
        <button @click=${() => this.studio.openSession()}>New session</button>
      </div>`;
  }

  #takeOver(): void {
    this.isAsking = true;
    this.studio.takeOver();
  }
}
