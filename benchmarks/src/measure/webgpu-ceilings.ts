/** The ceilings of a GPU: register-blocked multiply-adds, and copies of vectors from buffer to buffer. */
import type { Ceilings } from "./ceilings";

const TURNS = 256;
const WORKGROUP = 64;
/** 16 accumulators of four numbers, a multiply and an add each. */
const OPERATIONS_PER_TURN = 16 * 4 * 2;

const accumulators = Array.from({ length: 16 }, (_, i) => `a${i}`);

/** a = a x + y, with a product that depends on a: no compiler can take it out of the loop. */
const multiplyAdd = (term: (a: string) => string) => `
@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;
@compute @workgroup_size(${WORKGROUP}) fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = vec4f(0.5) + vec4f(f32(id.x & 1u) * 0.01);
  let y = vec4f(f32(id.x & 3u));
  ${accumulators.map((a, i) => `var ${a} = y + vec4f(${i}.0);`).join(" ")}
  for (var turn = 0u; turn < ${TURNS}u; turn++) { ${accumulators.map((a) => `${a} = ${term(a)};`).join(" ")} }
  out[id.x % arrayLength(&out)] = ${accumulators.join(" + ")};
}`;

/** Each thread copies so many vectors, a workgroup's width apart. */
const copy = (vectors: number) => `
@group(0) @binding(0) var<storage, read_write> to: array<vec4f>;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@compute @workgroup_size(${WORKGROUP}) fn main(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let first = (group.x + group.y * groups.x) * ${WORKGROUP * vectors}u + lane;
  ${Array.from({ length: vectors }, (_, i) => `let v${i} = source[first + ${i * WORKGROUP}u];`).join(" ")}
  ${Array.from({ length: vectors }, (_, i) => `if (first + ${i * WORKGROUP}u < arrayLength(&to)) { to[first + ${i * WORKGROUP}u] = v${i}; }`).join(" ")}
}`;
/** Vectors a thread: whichever is fastest counts. */
const COPY_VECTORS = [1, 4] as const;

const STORAGE = 0x80;
const MAX_GROUPS = 65_535;

export interface GpuCeilingOptions {
  readonly rounds?: number;
  /** Dispatches are grouped until one round takes about this long. */
  readonly ms?: number;
  /** Bytes read and written together. */
  readonly workingSets?: readonly number[];
}

/** Measures on a device of the caller's. */
export async function measureGpu(
  device: GPUDevice,
  { rounds = 6, ms = 20, workingSets = [256 * 1024, 4 << 20, 64 << 20] }: GpuCeilingOptions = {},
): Promise<Ceilings> {
  const buffer = (size: number) => device.createBuffer({ size, usage: STORAGE });
  /** Best 10^9 units a second of `perDispatch` units. */
  const best = async (
    code: string,
    buffers: readonly GPUBuffer[],
    groups: readonly [number, number],
    perDispatch: number,
  ): Promise<number> => {
    const pipeline = await device.createComputePipelineAsync({
      layout: "auto",
      compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
    });
    const entries = buffers.map((bound, binding) => ({ binding, resource: { buffer: bound } }));
    const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const run = async (dispatches: number): Promise<number> => {
      const start = performance.now();
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      for (let i = 0; i < dispatches; i++) pass.dispatchWorkgroups(...groups);
      pass.end();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      return performance.now() - start;
    };
    await run(1);
    let dispatches = 1;
    for (let taken = await run(1); taken < ms && dispatches < 4096; taken = await run(dispatches)) dispatches *= 2;
    let fastest = Number.POSITIVE_INFINITY;
    for (let round = 0; round < rounds; round++) fastest = Math.min(fastest, await run(dispatches));
    return (perDispatch * dispatches) / fastest / 1e6;
  };

  const out = buffer(1 << 20);
  const operations = (groups: number) => groups * WORKGROUP * TURNS * OPERATIONS_PER_TURN;
  const groups = 1024;
  const fused = await best(
    multiplyAdd((a) => `fma(${a}, x, y)`),
    [out],
    [groups, 1],
    operations(groups),
  );
  const separate = await best(
    multiplyAdd((a) => `${a} * x + y`),
    [out],
    [groups, 1],
    operations(groups),
  );
  out.destroy();

  const streams = [];
  for (const bytes of workingSets) {
    const [to, from] = [buffer(bytes / 2), buffer(bytes / 2)];
    const rates = [];
    for (const vectors of COPY_VECTORS) {
      const needed = Math.ceil(bytes / 2 / 16 / WORKGROUP / vectors);
      const columns = Math.min(needed, MAX_GROUPS);
      rates.push(await best(copy(vectors), [to, from], [columns, Math.ceil(needed / columns)], bytes));
    }
    const gigabytesPerSecond = Math.max(...rates);
    to.destroy();
    from.destroy();
    streams.push({ bytes, gigabytesPerSecond });
  }
  return { gflops: Math.max(fused, separate), streams };
}
