/**
 * Low-rank adapters (LoRA, Hu et al. 2021; rsLoRA, Kalajdzievski 2023; DoRA, Liu et al. 2024) on any linear layers of a decoder, as PEFT has them:
 *
 *   y = x Wᵀ + s (x Aᵀ) Bᵀ,  A (r, in), B (out, r), s = alpha / r, or alpha / √r for rsLoRA
 *   DoRA: y = g ⊙ (x Wᵀ + s (x Aᵀ) Bᵀ),  g = m / ‖W + s B A‖ of each output, the norm a constant of the backward pass
 *
 * Our linear layers fuse what the checkpoint holds apart (query, key and value; gate and up). The adapters of one layer are therefore stacked as
 * well: A of all, (T R, in), and B with its rows in blocks, (out, T R), zeros elsewhere. A smaller rank than the largest is filled with zeros, which
 * stay: neither of two zero factors has a gradient. Everything is composed of existing ops.
 */
import { type Device, elementCount, ops, UNARY_KINDS, uniform } from "@trimtab/kernels";
import { copyValues } from "../nn/parameter-values";
import { ParameterSet, type ParameterSpec } from "../nn/parameters";
import { withValues } from "../nn/unpacked";
import { allocate, reshape, type Tensor, upload } from "../tensor/tensor";
import { type DecoderConfig, isTable } from "./config";
import type { TensorPart } from "./family";
import { inputsOf, type LoraModule, linearModules, outputsOf } from "./lora-modules";
import { type LoraOptions, type LoraSettings, resolveLora } from "./lora-options";

/** The adapters of one of our linear layers. */
export interface LoraGroup {
  /** Our parameter, e.g. `layers.0.attention.qkv`, its rows and columns. */
  readonly parameter: string;
  readonly outputs: number;
  readonly inputs: number;
  /** Its place among the groups: the stream of its dropout. */
  readonly ordinal: number;
  readonly modules: readonly LoraModule[];
  /** R: the largest rank. */
  readonly rank: number;
  /** s of each module. */
  readonly scales: readonly number[];
  /** True where one module is the whole layer, so that B is a matrix as it is. */
  readonly isWhole: boolean;
  /** First row of each module in the stacked B. */
  readonly firstRows: readonly number[];
  /** Row of B, or of the magnitudes, for each block of each output; its last row is zero. Undefined where `isWhole`. */
  readonly blocks: RowBlocks | undefined;
  /** The same for one entry an output; and which outputs have a module, (1, out). Undefined without DoRA. */
  readonly magnitudes: (RowBlocks & { readonly adapted: Tensor; readonly others: Tensor }) | undefined;
}

/** A row index whose backward pass never reaches the row of zeros. */
export interface RowBlocks {
  readonly ids: Tensor;
  readonly sorted: { readonly order: Tensor; readonly rows: Tensor; readonly starts: Tensor };
}

export class Lora {
  readonly device: Device;
  readonly config: DecoderConfig;
  readonly settings: LoraSettings;
  /** What is trained, and nothing else: A, B, magnitudes, and whole copies of the modules to save. */
  readonly parameters: ParameterSet;
  readonly groups: ReadonlyMap<string, LoraGroup>;
  /** Our parameters of which the adapter has a copy of its own. */
  readonly saved: readonly { readonly parameter: string; readonly part: TensorPart }[];
  readonly #owned: Tensor[] = [];

  /** Allocates the adapter (zeros). Throws ConfigError where no module is meant, or one that cannot be adapted. */
  constructor(device: Device, config: DecoderConfig, options: LoraOptions = {}) {
    this.device = device;
    this.config = config;
    this.settings = resolveLora(options, config);
    const modules = this.settings.modules;
    const byParameter = new Map<string, LoraModule[]>();
    for (const module of modules) {
      const list = byParameter.get(module.part.parameter);
      if (list) list.push(module);
      else byParameter.set(module.part.parameter, [module]);
    }
    const rowsOf = new Map<string, number>();
    for (const part of linearModules(config)) rowsOf.set(part.parameter, (rowsOf.get(part.parameter) ?? 0) + outputsOf(part));
    const specs: ParameterSpec[] = [];
    const groups = new Map<string, LoraGroup>();
    for (const [parameter, list] of byParameter) {
      const group = this.#group(parameter, list, rowsOf.get(parameter) as number, groups.size);
      groups.set(parameter, group);
      specs.push(...this.#specs(group));
    }
    this.groups = groups;
    this.saved = this.settings.saved;
    for (const { parameter, part } of this.saved) {
      specs.push({ name: parameter, shape: part.shape, init: { constant: 0 }, isTable: isTable(parameter) });
    }
    this.parameters = new ParameterSet(device, specs);
  }

  /** The adapter's own copy of one of our parameters, where it has one. */
  savedParameter(name: string) {
    return this.saved.some(({ parameter }) => parameter === name) ? this.parameters.get(name) : undefined;
  }

  /** A of a group, (T R, in); B, (rows, R) or (rows + 1, R); magnitudes (rows + 1, 1). */
  a = (group: LoraGroup) => this.parameters.get(`${group.parameter}.lora_A`);
  b = (group: LoraGroup) => this.parameters.get(`${group.parameter}.lora_B`);
  magnitude = (group: LoraGroup) => this.parameters.get(`${group.parameter}.lora_magnitude`);

  /**
   * A as PEFT draws it (Kaiming uniform: up to 1 / √in), B = 0, magnitudes those of the base, saved modules copies of the base's: the adapted
   * model is the base. The same seed gives the same bits on every device.
   */
  initialise(base: ParameterSet, seed: number): void {
    for (const group of this.groups.values()) {
      const { modules, rank, inputs } = group;
      const values = new Float32Array(modules.length * rank * inputs);
      modules.forEach(({ rank: own }, t) => {
        const bound = 1 / Math.sqrt(inputs);
        const stream = LORA_STREAM + 8 * group.ordinal + t;
        for (let i = 0; i < own * inputs; i++) values[t * rank * inputs + i] = (2 * uniform(seed, stream, i) - 1) * bound;
      });
      this.device.write(this.a(group).value, values);
      if (group.magnitudes) this.#writeMagnitudes(group, group.magnitudes, base);
    }
    for (const { parameter } of this.saved) copyValues(this.device, base.get(parameter), this.parameters.get(parameter));
  }

  /** A second adapter with the same values. */
  clone(): Lora {
    const copy = new Lora(this.device, this.config, this.settings.options);
    this.parameters.shards.forEach((shard, i) => {
      this.device.copy(shard, copy.parameters.shards[i] as Tensor);
    });
    return copy;
  }

  dispose(): void {
    this.parameters.dispose();
    for (const { buffer } of this.#owned.splice(0)) this.device.free(buffer);
  }

  #group(parameter: string, modules: readonly LoraModule[], outputs: number, ordinal: number): LoraGroup {
    const { useDora } = this.settings;
    const rank = Math.max(...modules.map((module) => module.rank));
    const firstRows: number[] = [];
    let rows = 0;
    for (const { part } of modules) {
      firstRows.push(rows);
      rows += outputsOf(part);
    }
    const isWhole = modules.length === 1 && rows === outputs;
    const rowFor = (output: number, t: number): number | undefined => {
      const { part } = modules[t] as LoraModule;
      const at = output - part.firstRow;
      return at >= 0 && at < outputsOf(part) ? (firstRows[t] as number) + at : undefined;
    };
    const owners = Array.from({ length: outputs }, (_, output) => modules.findIndex((_m, t) => rowFor(output, t) !== undefined));
    const blocks = Array.from({ length: outputs * modules.length }, (_, i) => rowFor(Math.floor(i / modules.length), i % modules.length));
    const flags = (isOn: (owner: number) => boolean) =>
      this.#own(
        Float32Array.from(owners, (owner) => (isOn(owner) ? 1 : 0)),
        [outputs, 1],
      );
    return {
      parameter,
      outputs,
      inputs: inputsOf((modules[0] as LoraModule).part),
      ordinal,
      modules,
      rank,
      scales: modules.map(({ rank: r, alpha }) => (this.settings.useRslora ? alpha / Math.sqrt(r) : alpha / r)),
      isWhole,
      firstRows,
      blocks: isWhole ? undefined : this.#rowBlocks(blocks, rows),
      magnitudes: useDora
        ? {
            ...this.#rowBlocks(
              owners.map((owner, output) => (owner < 0 ? undefined : rowFor(output, owner))),
              rows,
            ),
            adapted: flags((owner) => owner >= 0),
            others: flags((owner) => owner < 0),
          }
        : undefined,
    };
  }

  /** The index of these rows of a table whose row `zeroRow` is zero; undefined stands for it. Each other row occurs once at most. */
  #rowBlocks(wanted: readonly (number | undefined)[], zeroRow: number): RowBlocks {
    const used = wanted.flatMap((row, at) => (row === undefined ? [] : [{ row, at }])).sort((x, y) => x.row - y.row);
    const unused = wanted.flatMap((row, at) => (row === undefined ? [at] : []));
    return {
      ids: this.#own(Uint32Array.from(wanted, (row) => row ?? zeroRow)),
      sorted: {
        order: this.#own(Uint32Array.from([...used.map(({ at }) => at), ...unused])),
        rows: this.#own(Uint32Array.from(used, ({ row }) => row)),
        starts: this.#own(Uint32Array.from({ length: used.length + 1 }, (_, i) => i)),
      },
    };
  }

  #specs({ parameter, modules, rank, inputs, isWhole, magnitudes }: LoraGroup): ParameterSpec[] {
    const rows = modules.reduce((sum, { part }) => sum + outputsOf(part), 0);
    const zero = { constant: 0 };
    return [
      { name: `${parameter}.lora_A`, shape: [modules.length * rank, inputs], init: zero },
      { name: `${parameter}.lora_B`, shape: [isWhole ? rows : rows + 1, rank], init: zero },
      ...(magnitudes ? [{ name: `${parameter}.lora_magnitude`, shape: [rows + 1, 1], init: zero }] : []),
    ];
  }

  /** ‖W‖ of each output that has a module, by the dispatches that the forward pass makes. */
  #writeMagnitudes(group: LoraGroup, magnitudes: RowBlocks, base: ParameterSet): void {
    const norms = withValues(this.device, base.weight(group.parameter), (values) => rowNorms(this.device, values));
    const table = this.magnitude(group).value;
    this.device.dispatch(ops.embedding.backward, {
      tensors: { dy: reshape(norms, [group.outputs, 1]), ...magnitudes.sorted, dtable: table },
      scalars: { first: 0 },
    });
    this.device.free(norms.buffer);
  }

  #own(data: Uint32Array | Float32Array, shape?: readonly number[]): Tensor {
    const tensor = upload(this.device, data, shape, "weights");
    this.#owned.push(tensor);
    return tensor;
  }
}

/** A new adapter of a base's weights; see `Lora.initialise`. */
export function newLora(
  base: { readonly device: Device; readonly config: DecoderConfig; readonly parameters: ParameterSet },
  options: LoraOptions = {},
): Lora {
  const lora = new Lora(base.device, base.config, options);
  lora.initialise(base.parameters, options.seed ?? 0);
  return lora;
}

/** The streams of new adapters' draws, apart from those of a model's parameters. */
const LORA_STREAM = 0x10a00000;

/** ‖row‖ of w (out, in), (out); the caller frees it. */
export function rowNorms(device: Device, w: Tensor): Tensor {
  const [outputs, inputs] = w.shape as [number, number];
  const count = elementCount(w.shape);
  const [squares, sums, norms] = [allocate(device, [count]), allocate(device, [outputs]), allocate(device, [outputs])];
  const offsets = upload(
    device,
    Uint32Array.from({ length: outputs + 1 }, (_, i) => i * inputs),
  );
  const unary = (kind: number, x: Tensor, y: Tensor) =>
    device.dispatch(ops.unary.forward, { tensors: { x, y }, scalars: { kind, a: 0, b: 0 } });
  unary(UNARY_KINDS.square, reshape(w, [count]), squares);
  device.dispatch(ops.segment.sum, { tensors: { x: squares, offsets, y: sums } });
  unary(UNARY_KINDS.sqrt, sums, norms);
  for (const { buffer } of [squares, sums, offsets]) device.free(buffer);
  return norms;
}
