/** Models that the options of a command name, by directory or by name on the hub, with their downloads shown. */
import type { LanguageModel, LoadProgress, Tokenizer } from "@trimtab/core";
import { loadModel, loadTokenizer, type ModelPlace, modelDirectory } from "../model";
import { type Progress, startProgress } from "./progress";

/** Smaller files come without a bar of their own. */
const LEAST_SHOWN_BYTES = 1_000_000;

export function loadNamedModel(
  name: string,
  options: Pick<Parameters<typeof loadModel>[1], "device" | "revision" | "dtype">,
): Promise<LanguageModel> {
  return withDownloads((onProgress) => loadModel(name, { ...options, onProgress }));
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
