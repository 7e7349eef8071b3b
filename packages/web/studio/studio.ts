/** What the views may ask of the studio: its state, its engine, and the few things that change either. */
import type { Engine, EngineModel } from "@trimtab/core";
import type { KeptPlace, Notice, Store, StudioModel, StudioRun, StudioState } from "./store";

export interface Studio {
  readonly store: Store<StudioState>;
  /** Resolves when the engine runs; rejects, with the reason, where it cannot. */
  readonly engine: Promise<Engine<KeptPlace>>;
  /**
   * The model's handle, loaded once and kept until it is removed. It must stay as it is: a run trains `(await openModel(id)).clone()`.
   * Throws for an unknown id, or where its files are gone.
   */
  openModel(id: string): Promise<EngineModel<KeptPlace>>;
  /** Puts a model on the shelf and writes its files to the browser's storage, so that a reload finds it. The shelf owns the handle from now on. */
  addModel(
    model: EngineModel<KeptPlace>,
    about: Pick<StudioModel, "name" | "origin"> & Partial<Pick<StudioModel, "runId">>,
  ): Promise<StudioModel>;
  /** Forgets a model: its handle and its files. */
  removeModel(id: string): Promise<void>;
  /** Adds a run, or replaces the one with its id. Kept soon after: call it as often as there is news. */
  putRun(run: StudioRun): void;
  /** Forgets a run and its checkpoint; the model that it made stays. */
  removeRun(id: string): Promise<void>;
  /** Where a run's checkpoint at `step` belongs. Two alternate, so that one is always whole. */
  checkpointPlace(runId: string, step: number): KeptPlace;
  /** Tells the person something; errors stay until dismissed. */
  notify(kind: Notice["kind"], text: string): void;
}
