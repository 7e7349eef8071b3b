/**
 * One repository in the Hugging Face cache, as huggingface_hub lays it out, so that Python finds what is downloaded here and the other way round:
 * `models--org--name/blobs/<etag>` are the files, `snapshots/<commit>/<file>` links to them, `refs/<revision>` says which commit a revision was last.
 */
import { copyFile, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { isCode, placeFile } from "../files";

const COMMIT = /^[0-9a-f]{40}$/;

export const isCommit = (revision: string): boolean => COMMIT.test(revision);

export class HubCache {
  readonly path: string;

  constructor(cacheDirectory: string, repository: string) {
    this.path = join(cacheDirectory, ["models", ...repository.split("/")].join("--"));
  }

  blob(etag: string): string {
    return join(this.path, "blobs", etag);
  }

  snapshot(commit: string): string {
    return join(this.path, "snapshots", commit);
  }

  /** The commit that a revision was when it was last asked for; undefined where it never was. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    try {
      const commit = (await readFile(this.#ref(revision), "utf8")).trim();
      return isCommit(commit) ? commit : undefined;
    } catch (error) {
      if (isCode(error, "ENOENT", "ENOTDIR", "EISDIR")) return undefined;
      throw error;
    }
  }

  /** Notes which commit a branch or tag is. */
  async setCommit(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.commitOf(revision)) === commit) return;
    await placeFile(this.#ref(revision), (temporary) => writeFile(temporary, commit));
  }

  /** Names of a snapshot's files whose contents are there. */
  async files(commit: string): Promise<string[]> {
    const directory = this.snapshot(commit);
    const names: string[] = [];
    for (const name of await readdir(directory).catch(() => [])) {
      // A link to nothing is no file.
      if ((await stat(join(directory, name)).catch(() => undefined))?.isFile()) names.push(name);
    }
    return names;
  }

  /** Puts a blob into a snapshot; as a copy where the file system has no links. */
  async link(commit: string, file: string, etag: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    const blob = this.blob(etag);
    await placeFile(path, async (temporary) => {
      try {
        await symlink(relative(dirname(path), blob), temporary);
      } catch (error) {
        if (!isCode(error, "EPERM", "ENOTSUP", "ENOSYS", "EACCES")) throw error;
        await copyFile(blob, temporary);
      }
    });
  }

  #ref(revision: string): string {
    return join(this.path, "refs", ...revision.split("/"));
  }
}
