/** Files that a person dropped or chose, as a directory that is read. */
import { CheckpointError, type Directory, type DirectoryTree } from "@trimtab/core";
import { blobSource } from "./blob-source";

/** Files by name, or as an input or a drop gives them: of several with one name, the one in the fewest folders counts. */
export type DroppedFiles = readonly File[] | ReadonlyMap<string, Blob> | Readonly<Record<string, Blob>>;

export function droppedDirectory(files: DroppedFiles): Directory & DirectoryTree {
  const byName =
    files instanceof Map ? (files as ReadonlyMap<string, Blob>) : Array.isArray(files) ? shallowest(files) : new Map(Object.entries(files));
  const path = "the dropped files";
  const readOnly = async (): Promise<never> => {
    throw new CheckpointError(
      "save: the place must be one that can be written, got dropped files. Save to browser storage or to a directory that was picked.",
    );
  };
  return {
    path,
    async open(name) {
      const blob = byName.get(name);
      return blob && blobSource(name, blob, path);
    },
    write: readOnly,
    list: async () => [],
    child: (name) => ({ path: `${path} in ${name}`, open: async () => undefined, write: readOnly }),
    remove: readOnly,
  };
}

function shallowest(files: readonly File[]): Map<string, File> {
  const depth = ({ webkitRelativePath }: File) => webkitRelativePath.split("/").length;
  return new Map([...files].sort((a, b) => depth(b) - depth(a)).map((file) => [file.name, file]));
}
