/** Elements that draw at most once per frame, however often their data changes. */
import { LitElement } from "lit";

/** Waits for the next animation frame before each update: a hidden page draws nothing, a busy run at most once per frame. */
export class FramedElement extends LitElement {
  protected override async scheduleUpdate(): Promise<void> {
    if (this.hasUpdated) await new Promise(requestAnimationFrame);
    await super.scheduleUpdate();
  }
}
