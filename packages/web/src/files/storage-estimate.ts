/** How much a browser keeps for this site, and asking it not to throw that away. */

export interface StorageEstimate {
  /** Undefined where the browser does not say. */
  readonly usageBytes: number | undefined;
  readonly quotaBytes: number | undefined;
  /** The browser keeps the site's files even when space runs out. */
  readonly isPersistent: boolean;
}

export async function storageEstimate(): Promise<StorageEstimate> {
  // Typed as always there; pages that are not secure have none.
  const storage = navigator.storage as StorageManager | undefined;
  const { usage, quota } = (await storage?.estimate?.()) ?? {};
  return { usageBytes: usage, quotaBytes: quota, isPersistent: (await storage?.persisted?.()) ?? false };
}

/** Asks the browser, which may ask the person, to keep this site's files; true where it will. Call it on a page, not in a worker. */
export async function persistStorage(): Promise<boolean> {
  return (await (navigator.storage as StorageManager | undefined)?.persist?.()) ?? false;
}
