/** The models that are loaded now, by their id in the session: read when first asked for, one handle each. */
import type { Engine, EngineModel, LoadProgress } from "@trimtab/core";
import type { StudioModel } from "./store";
import type { Place } from "./studio";

export class ModelShelf {
  readonly #handles = new Map<string, Promise<EngineModel<Place>>>();

  /** The handle of `model`, which `engine` reads from its place where it is not here yet. A failure is forgotten, so that one can try again. */
  open(
    model: StudioModel,
    engine: Promise<Engine<Place>>,
    onProgress: (progress: LoadProgress) => void = () => {},
  ): Promise<EngineModel<Place>> {
    const here = this.#handles.get(model.id);
    if (here) return here;
    const opening = (async () => {
      if (!model.place) throw new Error(`${model.name}: only the page that loaded it had its files. Load it again.`);
      return (await engine).loadModel(model.place, { onProgress });
    })();
    this.#handles.set(model.id, opening);
    opening.catch(() => this.#handles.delete(model.id));
    return opening;
  }

  put(id: string, handle: EngineModel<Place>): void {
    this.#handles.set(id, Promise.resolve(handle));
  }

  async remove(id: string): Promise<void> {
    const handle = this.#handles.get(id);
    this.#handles.delete(id);
    await (await handle)?.dispose();
  }

  /** Disposes of every handle. */
  async clear(): Promise<void> {
    await Promise.allSettled([...this.#handles.keys()].map((id) => this.remove(id)));
  }

  /** Forgets the handles of an engine that is gone. */
  abandon(): void {
    this.#handles.clear();
  }
}
