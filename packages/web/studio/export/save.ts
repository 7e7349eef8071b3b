/** Hands files to the person: as downloads, or into a directory where the browser lets a page write. */

/** Starts a download. */
export function download(content: Blob | string, name: string, type = "text/plain"): void {
  const url = URL.createObjectURL(typeof content === "string" ? new Blob([content], { type }) : content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

type PickDirectory = (options: { readonly mode: "readwrite" }) => Promise<FileSystemDirectoryHandle>;

/** Lets the person choose a directory and writes the files there; false where they chose none. Only where {@link canSaveToDirectory}. */
export async function saveToDirectory(files: () => Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>>): Promise<boolean> {
  const { showDirectoryPicker } = globalThis as unknown as { readonly showDirectoryPicker: PickDirectory };
  let directory: FileSystemDirectoryHandle;
  try {
    directory = await showDirectoryPicker({ mode: "readwrite" });
  } catch (error) {
    if ((error as Error).name === "AbortError") return false;
    throw error;
  }
  for (const [name, bytes] of await files()) {
    const writable = await (await directory.getFileHandle(name, { create: true })).createWritable();
    await writable.write(bytes);
    await writable.close();
  }
  return true;
}

export const canSaveToDirectory = "showDirectoryPicker" in globalThis;

/** A file's name from a title: "GRPO 2" gives "grpo-2". */
export function fileName(title: string): string {
  return (
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}]+/gu, "-")
      .replaceAll(/^-|-$/g, "") || "untitled"
  );
}
