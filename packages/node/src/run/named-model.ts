/** Models that the options of a command name, by directory or by name on the hub, with their downloads shown. */
import type { Device, LanguageModel, LoadProgress, Tokenizer } from "@trimtab/core";
import { loadModel, loadTokenizer, type ModelPlace, modelDirectory } from "../model";
import { baseDtype, type PrecisionFlags } from "./precision-flags";
import { type Progress, startProgress } from "./progress";

/** What names the model of a command. */
export interface ModelFlags {
  readonly modelNameOrPath: string;
  readonly modelRevision?: string | undefined;
}

/** Smaller files come without a bar of their own. */
const LEAST_SHOWN_BYTES = 1_000_000;

export function loadNamedModel(
  name: string,
  options: Pick<Parameters<typeof loadModel>[1], "device" | "revision" | "dtype">,
): Promise<LanguageModel> {
  return withDownloads((onProgress) => loadModel(name, { ...options, onProgress }));
}

/** The model of a command, at its revision, in the precision that its flags ask for. */
export function loadModelOf(options: ModelFlags & PrecisionFlags, device: Device): Promise<LanguageModel> {
  return loadNamedModel(options.modelNameOrPath, { device, revision: options.modelRevision, dtype: baseDtype(options) });
}

export function loadNamedTokenizer(name: string): Promise<Tokenizer> {
  return withDownloads((onProgress) => loadTokenizer(name, { onProgress }));
}

/** Where the files of a model are on this disk. */
export function namedDirectory(place: ModelPlace): Promise<string> {
  return withDownloads((onProgress) => modelDirectory(place, { onProgress }));
}

/** Shows the downloads of `work`, one bar for each large file. */
async function withDownloads<T>(work: (onProgress: (progress: LoadProgress) => void) => Promise<T>): Promise<T> {
  let shown: { readonly file: string; readonly bar: Progress } | undefined;
  const megabytes = (bytes: number) => Math.round(bytes / 1e5) / 10;
  const onProgress = ({ file, loadedBytes, totalBytes = 0 }: LoadProgress) => {
    if (totalBytes < LEAST_SHOWN_BYTES) return;
    if (shown?.file !== file) {
      shown?.bar.stop();
      shown = { file, bar: startProgress({ label: file, total: megabytes(totalBytes), done: megabytes(loadedBytes), unit: "MB" }) };
    }
    shown.bar.update(megabytes(loadedBytes));
  };
  try {
    return await work(onProgress);
  } finally {
    shown?.bar.stop();
  }
}
