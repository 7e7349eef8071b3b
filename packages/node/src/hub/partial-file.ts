/**
 * Downloads in progress, `<blob>.<owner>.incomplete`. Each has one owner, who takes an abandoned one over by renaming it, which succeeds for one process
 * only: two at once never write to one file, without a lock that a crash would leave behind.
 */
import { randomUUID } from "node:crypto";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";

/** What no living process can be seen to own counts as abandoned after this long without a write: that of another machine, or Python's. */
const ABANDONED_MS = 10 * 60_000;

const HOST = hostname().replace(/[^A-Za-z0-9]/g, "_");
const LEFT = "left";

/** A path for a download of `blob` that is this call's alone, with the bytes of an abandoned one where there is any. */
export async function claimPartial(blob: string): Promise<string> {
  const own = `${blob}.${HOST}-${process.pid}-${randomUUID().slice(0, 8)}.incomplete`;
  for (const path of await abandoned(blob)) {
    try {
      await rename(path, own);
      return own;
    } catch {
      // Another process was faster.
    }
  }
  return own;
}

/** Leaves a download to whoever goes on with it. */
export async function leavePartial(path: string, blob: string): Promise<void> {
  await rename(path, `${blob}.${LEFT}-${randomUUID().slice(0, 8)}.incomplete`).catch(() => {});
}

/** Removes what others left of a download that is complete now. */
export async function removeAbandoned(blob: string): Promise<void> {
  for (const path of await abandoned(blob)) await rm(path, { force: true });
}

/** Abandoned downloads of a blob, the longest first. */
async function abandoned(blob: string): Promise<string[]> {
  const directory = dirname(blob);
  const found: { readonly path: string; readonly size: number }[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    if (!name.startsWith(`${basename(blob)}.`) || !name.endsWith(".incomplete")) continue;
    const path = join(directory, name);
    const stats = await stat(path).catch(() => undefined);
    if (!stats?.isFile()) continue;
    const owner = name.slice(basename(blob).length + 1, -".incomplete".length);
    if (isLeft(owner) || Date.now() - stats.mtimeMs > ABANDONED_MS) found.push({ path, size: stats.size });
  }
  return found.sort((a, b) => b.size - a.size).map(({ path }) => path);
}

/** True for what was left on purpose, and for what a process of this machine owned that is no more. */
function isLeft(owner: string): boolean {
  const [host, pid] = owner.split("-");
  if (host === LEFT) return true;
  return host === HOST && pid !== undefined && !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code !== "ESRCH";
  }
}
