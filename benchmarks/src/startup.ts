/** Start-up: from the start of a process to its first training step, with nothing in any cache and with everything. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Section } from "./measure/section";

interface Startup {
  readonly node: number;
  readonly import: number;
  readonly device: number;
  readonly first: number;
  readonly second: number;
  readonly pipelines: number;
}

const child = fileURLToPath(new URL("./startup-child.js", import.meta.url));

/** Each run is a process of its own; on WebGPU the driver's cache of shaders is new for the first. */
export async function benchmarkStartup(kind: "wasm" | "webgpu", options: { readonly quick: boolean }): Promise<Section> {
  const cache = mkdtempSync(join(tmpdir(), "trimtab-shaders-"));
  const flags = process.execArgv.concat(Number(process.versions.node.split(".")[0]) < 22 ? ["--experimental-wasm-relaxed-simd"] : []);
  const run = async (): Promise<Startup> => {
    const env = { ...process.env, XDG_CACHE_HOME: cache, MESA_SHADER_CACHE_DIR: cache };
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, child, kind], { env });
    return JSON.parse(stdout) as Startup;
  };
  try {
    const cold = await run();
    const warm: Startup[] = [];
    for (let i = 0; i < (options.quick ? 1 : 5); i++) warm.push(await run());
    warm.sort((a, b) => total(a) - total(b));
    const row = (name: string, startup: Startup) => [
      name,
      startup.node,
      startup.import,
      startup.device,
      startup.first,
      total(startup),
      startup.second,
      startup.pipelines,
    ];
    return {
      title: `Start-up on ${kind}, ms: from the start of the process to the first training step of a small model`,
      columns: ["", "Node", "import", "device", "first step", "in all", "second step", "pipelines"],
      rows: [
        row("cold shader cache", cold),
        row("warm, best", warm[0] as Startup),
        row("warm, median", warm[Math.floor(warm.length / 2)] as Startup),
      ],
      targets:
        kind === "webgpu"
          ? [
              {
                what: "start-up on WebGPU with a cold shader cache: first step",
                target: 10,
                measured: cold.first / 1000,
                unit: " s",
                isMost: true,
              },
            ]
          : [],
      notes: ["import: @trimtab/node with all it needs; first step: also the model's weights and, on WebGPU, every pipeline"],
    };
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

const total = (startup: Startup) => startup.node + startup.import + startup.device + startup.first;
