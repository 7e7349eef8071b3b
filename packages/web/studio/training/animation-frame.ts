/** Drawing in animation frames, as much in each as leaves the page responsive. */
import { LitElement } from "lit";

/** What is begun within it ends somewhat later: a frame has 16 ms, and a chart takes several. */
const BUDGET_MS = 6;

const waiting: (() => void)[] = [];
let isDue = false;

/** Does `job` in one of the next animation frames, after what waits already. A hidden page has none, and draws when it is shown again. */
export function inFrame<T>(job: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    waiting.push(() => {
      try {
        resolve(job());
      } catch (error) {
        reject(error);
      }
    });
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(work);
  });
}

function work(): void {
  const started = performance.now();
  do waiting.shift()?.();
  while (waiting.length > 0 && performance.now() - started < BUDGET_MS);
  isDue = waiting.length > 0;
  if (isDue) requestAnimationFrame(work);
}

/** An element that draws its updates in animation frames: at most one in each, however often its data changes. The first is drawn at once. */
export class FramedElement extends LitElement {
  protected override async scheduleUpdate(): Promise<void> {
    if (this.hasUpdated) await inFrame(() => super.scheduleUpdate());
    else await super.scheduleUpdate();
  }
}

/** A framed element of which there are many: the first is drawn in a frame as well. */
export class QueuedElement extends LitElement {
  protected override async scheduleUpdate(): Promise<void> {
    await inFrame(() => super.scheduleUpdate());
  }
}
