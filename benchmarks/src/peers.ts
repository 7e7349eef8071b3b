/** Finds what `npm run bench:peers` installed; the benchmarks run without it and say so. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";

/** benchmarks/peers, seen from benchmarks/dist. */
const folder = fileURLToPath(new URL("../peers/", import.meta.url));

export const peersInstalled = (): boolean => existsSync(`${folder}node_modules`);

/**
 * Shows peers the GPU as a browser would, before they are imported: they look for `navigator.gpu`. Dawn must outlive their devices, so it stays.
 */
export async function offerGpuToPeers(): Promise<void> {
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  const navigator = { gpu: create([]), userAgent: "Node", hardwareConcurrency: availableParallelism() };
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
}

/** Imports a module of benchmarks/peers, or a package installed there. */
export async function importPeer<T>(name: string): Promise<T> {
  const path = name.endsWith(".mjs") ? `${folder}${name}` : createRequire(`${folder}package.json`).resolve(name);
  return (await import(pathToFileURL(path).href)) as T;
}
