/** The engine's exports against the contracts: every entry point has a plan, every kernel the parameters its plan passes. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import relaxed from "../build/engine-relaxed.wasm";
import strict from "../build/engine-strict.wasm";
import { dataOf, shapeOf, trialsOf } from "../conformance/case";
import { cases } from "../conformance/index";
import { decodeBase64 } from "../src/base64";
import { elementCount } from "../src/bind";
import { entryPoints } from "../src/ops/index";
import { CONTROL, SCRATCH_BYTES } from "../src/wasm/layout";
import { missingPlans, plans } from "../src/wasm/plans/index";
import { contractArgs, isMirror, type PlanCall } from "../src/wasm/plans/plan";

const folder = new URL("../assembly/engine/", import.meta.url);
const sources = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), "utf8"));

/** Parameter names of an exported AssemblyScript function; a trailing underscore only avoids a reserved word. */
function parametersOf(name: string): string[] | undefined {
  for (const source of sources) {
    const match = new RegExp(`export function ${name}\\(([^)]*)\\)`).exec(source);
    if (match) return (match[1] as string).split(",").map((parameter) => (parameter.split(":")[0] as string).trim().replace(/_$/, ""));
  }
  return undefined;
}

const artefacts = { strict: decodeBase64(strict), relaxed: decodeBase64(relaxed) };
const compile = (bytes: Uint8Array<ArrayBuffer>) => (WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : undefined);

describe("engine exports", () => {
  it("has a plan for every entry point and no other", () => {
    expect(missingPlans()).toEqual([]);
    expect([...plans.keys()].filter((name) => !entryPoints.has(name))).toEqual([]);
  });

  for (const [name, entry] of entryPoints) {
    const plan = plans.get(name);
    if (!plan || !isMirror(plan)) continue;
    it(`${name} takes the contract's tensors, dims and scalars, then a range`, () => {
      const expected = [...entry.tensors.map((t) => t.name), ...entry.dims, ...entry.scalars.map((s) => s.name), "begin", "end"];
      expect(parametersOf(name)).toEqual(expected);
    });
  }

  for (const [name, bytes] of Object.entries(artefacts)) {
    const module = compile(bytes);
    it.skipIf(!module)(`${name}: imports only memory, writes only its constants there, exports only functions`, () => {
      if (!module) return;
      expect(WebAssembly.Module.imports(module)).toEqual([{ module: "env", name: "memory", kind: "memory" }]);
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
      const { exports } = new WebAssembly.Instance(module, { env: { memory } });
      const end = (exports.constants_end as () => number)();
      expect(end).toBeLessThanOrEqual(CONTROL.generation);
      expect(new Uint8Array(memory.buffer, end).every((byte) => byte === 0)).toBe(true);
      expect(WebAssembly.Module.exports(module).filter(({ kind, name: key }) => kind !== "function" && key !== "memory")).toEqual([]);
    });
  }

  it("plans pass as many arguments as their kernels take", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(artefacts.strict), { env: { memory } });
    const scratchBytes = exports.thread_scratch_bytes as () => number;
    expect(scratchBytes()).toBe(SCRATCH_BYTES);
    const seen = new Set<string>();
    for (const trial of trialsOf(cases)) {
      for (const { kernel, args } of plans.get(trial.case.entry.name)?.(planCall(trial)) ?? []) {
        seen.add(kernel);
        expect([kernel, (exports[kernel] as CallableFunction).length]).toEqual([kernel, args.length + 2]);
        expect(parametersOf(kernel)?.slice(-2)).toEqual(["begin", "end"]);
        expect(args.every(Number.isFinite)).toBe(true);
      }
    }
    // No kernel is left that no plan calls.
    const setters = ["set_thread_scratch", "thread_scratch_bytes", "constants_end"];
    const idle = Object.keys(exports).filter(
      (key) => !seen.has(key) && !setters.includes(key) && !key.startsWith("gemm__") && key !== "memory",
    );
    expect(idle).toEqual([]);
  });

  it("mirrors pass pointers, dims and scalars in that order", () => {
    const entry = entryPoints.get("rms_norm_forward")!;
    const call = { entry, pointer: (t: string) => `&${t}`, value: (v: string) => v } as unknown as PlanCall;
    expect(contractArgs(call)).toEqual(["&x", "&w", "&y", "&rstd", "N", "C", "eps"]);
  });
});

/** A call whose memory is the trial's own data. */
function planCall(trial: ReturnType<typeof trialsOf>[number]): PlanCall {
  const { entry } = trial.case;
  const data = dataOf(trial, true);
  const names = entry.tensors.map((t) => t.name);
  return {
    entry,
    pointer: (tensor) => (trial.absent.includes(tensor) ? 0 : 4096 * (1 + names.indexOf(tensor))),
    value: (name) => {
      const value = trial.values[name] ?? elementCount(shapeOf(entry, entry.tensors[0]!, trial.values));
      return value;
    },
    scratch: (byteLength) => {
      expect(Number.isInteger(byteLength) && byteLength >= 0).toBe(true);
      return 1 << 20;
    },
    words: (pointer, length) => {
      const name = names[pointer / 4096 - 1];
      return name === undefined ? new Uint32Array(length) : (data[name] as Uint32Array);
    },
  };
}
