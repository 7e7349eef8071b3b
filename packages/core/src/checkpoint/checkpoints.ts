/** The checkpoints of a run: `checkpoint-<step>/` directories, of which the last few are kept. */
import type { Directory, DirectoryTree } from "./files";
import { isComplete } from "./manifest";
import type { ModelDescription } from "./model-files";
import { saveState, type TrainingState } from "./state";

const NAME = /^checkpoint-(\d+)$/;
/** What an interrupted write or removal leaves behind. */
const LEFTOVER = /^tmp-/;

export interface SavedCheckpoint {
  readonly step: number;
  readonly name: string;
  readonly directory: Directory;
}

/** Saves a state as `checkpoint-<step>` and then removes leftovers of crashes and all but the last `saveTotalLimit` checkpoints. */
export async function saveCheckpoint(
  state: TrainingState,
  model: ModelDescription,
  run: DirectoryTree,
  options: { readonly saveTotalLimit?: number | undefined } = {},
): Promise<SavedCheckpoint> {
  await cleanLeftovers(run);
  const name = `checkpoint-${state.step}`;
  const directory = run.child(name);
  await saveState(state, model, directory);
  const { saveTotalLimit } = options;
  if (saveTotalLimit !== undefined) {
    // The one just written stays, even where a run was started over below the steps of an older one.
    const others = (await checkpointsOf(run)).filter((checkpoint) => checkpoint.name !== name);
    for (const { name: old } of others.slice(0, Math.max(0, others.length + 1 - Math.max(1, saveTotalLimit)))) await run.remove(old);
  }
  return { step: state.step, name, directory };
}

/** The complete checkpoint of the highest step; undefined when there is none. Incomplete ones are passed over. */
export async function latestCheckpoint(run: DirectoryTree): Promise<SavedCheckpoint | undefined> {
  for (const checkpoint of (await checkpointsOf(run)).reverse()) {
    if (await isComplete(checkpoint.directory)) return checkpoint;
  }
  return undefined;
}

/** Removes what interrupted writes and removals left. */
export async function cleanLeftovers(run: DirectoryTree): Promise<void> {
  for (const name of await run.list()) if (LEFTOVER.test(name)) await run.remove(name);
}

/** By step, complete or not. */
async function checkpointsOf(run: DirectoryTree): Promise<SavedCheckpoint[]> {
  const names = await run.list();
  return names
    .flatMap((name) => {
      const match = NAME.exec(name);
      return match ? [{ step: Number(match[1]), name, directory: run.child(name) }] : [];
    })
    .sort((a, b) => a.step - b.step);
}
