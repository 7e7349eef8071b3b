/** The output directory of a run: whether it is a new run or continues one. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { CheckpointError, ConfigError, latestCheckpoint, loadState, type TrainingState } from "@trimtab/core";
import { nodeDirectory } from "../files";

interface RunOptions {
  readonly outputDir: string;
  readonly resumeFromCheckpoint: boolean | string;
  readonly overwriteOutputDir: boolean;
}

/** The state to continue from, if any. */
export interface OpenRun {
  readonly resume: TrainingState | undefined;
  /** Steps already taken; 0 for a new run. */
  readonly resumedStep: number;
}

/** Finds out where a run starts; nothing is written or removed yet. Throws ConfigError or CheckpointError. */
export async function openRun(options: RunOptions): Promise<OpenRun> {
  const path = await resumePath(options);
  if (path === undefined) return { resume: undefined, resumedStep: 0 };
  const resume = await loadState(nodeDirectory(path));
  return { resume, resumedStep: resume.step };
}

/**
 * What `--resume-from-checkpoint` means: nothing, a directory, or the output directory's latest checkpoint (undefined where there is
 * none yet, so that the same command starts and continues a run). A run that would bury older checkpoints is refused.
 */
async function resumePath({ outputDir, resumeFromCheckpoint, overwriteOutputDir }: RunOptions): Promise<string | undefined> {
  if (typeof resumeFromCheckpoint === "string") {
    const path = resolve(resumeFromCheckpoint);
    if (!existsSync(path)) {
      throw new CheckpointError(`--resume-from-checkpoint: it must be a checkpoint directory, but ${path} does not exist. Check the path.`);
    }
    return path;
  }
  const latest = await latestCheckpoint(nodeDirectory(outputDir));
  if (resumeFromCheckpoint) return latest?.directory.path;
  if (latest && !overwriteOutputDir) {
    throw new ConfigError(
      `--output-dir: it must not hold another run's checkpoints, got ${join(outputDir, latest.name)}. Add --resume-from-checkpoint to continue it, or --overwrite-output-dir to start anew.`,
    );
  }
  return undefined;
}

/** Removes every checkpoint of an earlier run. */
export async function clearCheckpoints(outputDir: string): Promise<void> {
  const run = nodeDirectory(outputDir);
  for (const name of await run.list()) if (/^checkpoint-\d+$/.test(name)) await run.remove(name);
}
