/** Every shader against what the host believes of it: bindings, access, parameter blocks, constants; and that Dawn compiles it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import { MAX_STORAGE_BUFFERS } from "../src/contract";
import { entryPoints } from "../src/ops/index";
import { MAX_PARAM_BYTES } from "../src/webgpu/pipelines";
import { everyProgram, plans } from "../src/webgpu/plans/index";
import { type Program, shaderCode } from "../src/webgpu/program";
import { nullAdapter } from "./webgpu-adapter";

const programs = everyProgram();
const reflected = new Map<string, WgslReflect>();

function reflect(program: Program): WgslReflect {
  const code = shaderCode(program);
  const known = reflected.get(code) ?? new WgslReflect(code);
  reflected.set(code, known);
  return known;
}

describe("plans", () => {
  it("exist for exactly the contract's entry points", () => {
    expect([...plans.keys()].sort()).toEqual([...entryPoints.keys()].sort());
  });

  it("name every program once", () => {
    const names = programs.map((program) => program.name);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });
});

describe.each(programs.map((program) => [program.name, program] as const))("%s", (_, program) => {
  const reflection = reflect(program);
  const entry = reflection.entry.compute.find(({ name }) => name === program.entryPoint);

  it("binds what the host binds", () => {
    expect(entry, `entry point ${program.entryPoint}`).toBeDefined();
    const storage = entry!.resources.filter(({ group }) => group === 0);
    const letters: string[] = Array.from({ length: program.access.length }, () => "-");
    for (const { binding, access } of storage) letters[binding] = access === "read" ? "r" : "w";
    // An entry point need not read every tensor of its contract, but must never write one that it may only read.
    expect(program.access).toHaveLength(letters.length);
    [...program.access].forEach((letter, i) => {
      if (letters[i] !== "-") expect(letters[i], `binding ${i}`).toBe(letter);
      else expect(letter, `binding ${i} is not used, so it must not be written`).not.toBe("w");
    });
    expect(storage.length).toBeLessThanOrEqual(MAX_STORAGE_BUFFERS);
    expect(storage.every(({ binding }) => program.access[binding] !== "-")).toBe(true);
  });

  it("has the host's parameter block", () => {
    const uniforms = entry!.resources.filter(({ group }) => group === 1);
    expect(uniforms.length).toBeLessThanOrEqual(1);
    if (uniforms.length === 0) return;
    expect(uniforms[0]!.binding).toBe(0);
    const members = uniforms[0]!.members!.map(({ name, offset, type }) => ({ name, offset, type: type.name }));
    expect(members).toEqual(program.params.map(({ name, type }, i) => ({ name, offset: 4 * i, type })));
    expect(4 * program.params.length).toBeLessThanOrEqual(MAX_PARAM_BYTES);
  });

  it("declares the constants that the host sets", () => {
    const declared = reflection.overrides.map(({ name }) => name);
    for (const name of Object.keys(program.constants)) expect(declared).toContain(name);
  });

  if (program.entry) {
    it("is its contract", () => {
      expect(program.entryPoint).toBe(program.entry!.name);
      expect(program.access).toBe(program.entry!.tensors.map(({ role }) => (role === "in" ? "r" : "w")).join(""));
      expect(program.params.map(({ name, type }) => `${name}:${type}`)).toEqual(
        program.entry!.params.map(({ name, type }) => `${name}:${type}`),
      );
    });
  }
});

describe("on Dawn's null backend, at default limits", () => {
  let device: GPUDevice;
  beforeAll(async () => {
    device = await (await nullAdapter()).requestDevice({ requiredFeatures: ["subgroups"] });
  });
  afterAll(() => device.destroy());

  it.each(programs.map((program) => [program.name, program] as const))("%s compiles", async (_, program) => {
    const module = device.createShaderModule({ code: shaderCode(program) });
    const { messages } = await module.getCompilationInfo();
    expect(messages.map(({ lineNum, message }) => `${lineNum}: ${message}`)).toEqual([]);
    const compute = { module, entryPoint: program.entryPoint, constants: program.constants };
    await device.createComputePipelineAsync({ layout: "auto", compute });
  });
});
