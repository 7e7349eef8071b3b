/** What every view is: an element that has the studio and draws itself again when the state changes. */
import { LitElement } from "lit";
import { property } from "lit/decorators.js";
import type { StudioState } from "./store";
import type { Studio } from "./studio";

export class StudioElement extends LitElement {
  /** Set by the parent's template before the element is connected. */
  @property({ attribute: false }) studio!: Studio;

  #unsubscribe: (() => void) | undefined;

  get state(): StudioState {
    return this.studio.store.state;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#unsubscribe = this.studio.store.subscribe(() => this.requestUpdate());
  }

  override disconnectedCallback(): void {
    this.#unsubscribe?.();
    super.disconnectedCallback();
  }
}
