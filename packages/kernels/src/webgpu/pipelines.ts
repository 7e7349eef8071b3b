/** Compiled pipelines, one per program: lazily on first use, or ahead of time and in parallel. */
import { DeviceError } from "../errors";
import { type Program, shaderCode } from "./program";

/** Bytes of the largest parameter block. */
export const MAX_PARAM_BYTES = 64;

/** A pipeline and the layout its bind groups are made for. */
export interface Compiled {
  readonly program: Program;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Names the layout in bind group keys. */
  readonly layoutKey: number;
  /** Binding numbers of the storage buffers. */
  readonly slots: readonly number[];
}

export class PipelineCache {
  readonly paramsLayout: GPUBindGroupLayout;
  readonly #device: GPUDevice;
  readonly #compiled = new Map<Program, Compiled>();
  readonly #pending = new Map<Program, Promise<void>>();
  readonly #layouts = new Map<
    string,
    { readonly key: number; readonly layout: GPUBindGroupLayout; readonly pipelineLayout: GPUPipelineLayout }
  >();
  readonly #modules = new Map<string, GPUShaderModule>();

  constructor(device: GPUDevice) {
    this.#device = device;
    this.paramsLayout = device.createBindGroupLayout({
      label: "params",
      entries: [{ binding: 0, visibility: 4, buffer: { type: "uniform", hasDynamicOffset: true, minBindingSize: 0 } }],
    });
  }

  get size(): number {
    return this.#compiled.size;
  }

  has(program: Program): boolean {
    return this.#compiled.has(program);
  }

  /** The pipeline of a program, compiled here and now if need be. */
  get(program: Program): Compiled {
    const known = this.#compiled.get(program);
    if (known) return known;
    return this.#store(program, this.#device.createComputePipeline(this.#descriptor(program)));
  }

  /** Compiles programs in parallel; throws DeviceError with the compiler's words for the first that fails. */
  async prepare(programs: readonly Program[]): Promise<void> {
    await Promise.all(
      programs.map((program) => {
        if (this.#compiled.has(program)) return undefined;
        let pending = this.#pending.get(program);
        if (!pending) {
          pending = this.#prepare(program);
          this.#pending.set(program, pending);
        }
        return pending;
      }),
    );
  }

  async #prepare(program: Program): Promise<void> {
    try {
      // What is wrong with the module is told by the pipeline; nobody else need hear of it.
      this.#device.pushErrorScope("validation");
      const descriptor = this.#descriptor(program);
      const moduleError = this.#device.popErrorScope();
      const pipeline = await this.#device.createComputePipelineAsync(descriptor);
      await moduleError;
      if (!this.#compiled.has(program)) this.#store(program, pipeline);
    } catch (cause) {
      const info = await this.#module(program).getCompilationInfo();
      const words = info.messages.map((m) => `${m.lineNum}:${m.linePos} ${m.type}: ${m.message}`);
      throw new DeviceError(
        `${program.name}: the shader must compile, got ${words.join("; ") || String(cause)}. Line numbers count from the first prelude, loops written out.`,
        { cause },
      );
    } finally {
      this.#pending.delete(program);
    }
  }

  #store(program: Program, pipeline: GPUComputePipeline): Compiled {
    const { key, layout } = this.#layoutOf(program.access);
    const slots = [...program.access].flatMap((letter, binding) => (letter === "-" ? [] : [binding]));
    const compiled: Compiled = { program, pipeline, layout, layoutKey: key, slots };
    this.#compiled.set(program, compiled);
    return compiled;
  }

  #descriptor(program: Program): GPUComputePipelineDescriptor {
    return {
      label: program.name,
      layout: this.#layoutOf(program.access).pipelineLayout,
      compute: { module: this.#module(program), entryPoint: program.entryPoint, constants: program.constants },
    };
  }

  #module(program: Program): GPUShaderModule {
    const code = shaderCode(program);
    let module = this.#modules.get(code);
    if (!module) {
      module = this.#device.createShaderModule({ code, label: program.entryPoint });
      this.#modules.set(code, module);
    }
    return module;
  }

  #layoutOf(access: string) {
    let known = this.#layouts.get(access);
    if (!known) {
      const entries = [...access].flatMap((letter, binding): GPUBindGroupLayoutEntry[] =>
        letter === "-" ? [] : [{ binding, visibility: 4, buffer: { type: letter === "r" ? "read-only-storage" : "storage" } }],
      );
      const layout = this.#device.createBindGroupLayout({ label: access, entries });
      const pipelineLayout = this.#device.createPipelineLayout({ label: access, bindGroupLayouts: [layout, this.paramsLayout] });
      known = { key: this.#layouts.size, layout, pipelineLayout };
      this.#layouts.set(access, known);
    }
    return known;
  }
}
