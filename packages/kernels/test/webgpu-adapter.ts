/** Adapters for the webgpu tests: Dawn's null backend, which only validates, and whatever real or software GPU there is. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "webgpu";
import type { MissingDevice } from "../conformance/vitest";

/** Dawn must outlive its devices. */
const instances: GPU[] = [];

/** An adapter that validates everything and computes nothing; always there. */
export async function nullAdapter(): Promise<GPUAdapter> {
  const gpu = create(["backend=null"]);
  instances.push(gpu);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error("Dawn's null backend must give an adapter, got none.");
  return adapter;
}

/** The machine's adapter, or why there is none. */
export async function findAdapter(): Promise<GPUAdapter | MissingDevice> {
  process.env.XDG_RUNTIME_DIR ??= mkdtempSync(join(tmpdir(), "trimtab-xdg-"));
  const gpu = create([]);
  instances.push(gpu);
  const adapter = await gpu.requestAdapter();
  return adapter ?? { missing: "Dawn finds no Vulkan driver (.ci/install-system-packages installs a software one)" };
}
