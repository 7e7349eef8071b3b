/** Loading and training a checkpoint of SmolLM2-135M's shape: time, and the most memory that a process of its own took. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Cell, Section } from "../measure/section";
import type { Checkpoint } from "./checkpoint";
import type { TaskOptions, TaskResult } from "./task";

const TASKS: readonly (Pick<TaskOptions, "train" | "dtype" | "gradientCheckpointing"> & { readonly name: string })[] = [
  { name: "load", train: "nothing", dtype: "float32", gradientCheckpointing: false },
  { name: "load as f16", train: "nothing", dtype: "float16", gradientCheckpointing: false },
  { name: "load as nf4", train: "nothing", dtype: "nf4", gradientCheckpointing: false },
  { name: "full", train: "full", dtype: "float32", gradientCheckpointing: true },
  { name: "LoRA", train: "lora", dtype: "float32", gradientCheckpointing: true },
  { name: "LoRA, f16 base", train: "lora", dtype: "float16", gradientCheckpointing: true },
  { name: "LoRA, nf4 base", train: "lora", dtype: "nf4", gradientCheckpointing: true },
];

/** SFT of 4 sequences of 256 tokens a step, with checkpointing. */
export async function benchmarkCheckpointTraining(
  checkpoint: Checkpoint,
  options: { readonly threads: number; readonly relaxed: boolean },
): Promise<Section> {
  const rows: Cell[][] = [];
  for (const { name, ...task } of TASKS) {
    const { loadSeconds, tokensPerSecond, peakBytes, residentBytes } = await inOwnProcess({ ...task, ...options, path: checkpoint.path });
    rows.push([name, loadSeconds, tokensPerSecond, peakBytes / 2 ** 20, residentBytes / 2 ** 20]);
  }
  return {
    title: `${checkpoint.layers} layers of SmolLM2-135M's shape (${(checkpoint.parameters / 1e6).toFixed(1)} M parameters): load and SFT, 4 x 256 tokens, checkpointing, ${options.threads} threads`,
    columns: ["what", "load s", "tokens/s", "device peak MiB", "process peak MiB"],
    rows,
    notes: ["the process's peak is the most that the system saw resident, Node included"],
  };
}

/** So that the peak is the task's own. */
function inOwnProcess(options: TaskOptions): Promise<TaskResult> {
  const child = fork(fileURLToPath(new URL("./smollm2-task.js", import.meta.url)), [JSON.stringify(options)]);
  return new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message as TaskResult));
    child.once("exit", (code) => reject(new Error(`bench: ${JSON.stringify(options)} must end with a result, got exit code ${code}.`)));
  });
}
