/** Square matrix products in the three layouts of a linear layer, on wasm beside the peers, as shares of the ceiling. */
import type { Device } from "@trimtab/core";
import type { Machine } from "./machine";
import { type Layout, layouts, makeProduct } from "./measure/products";
import type { Section, SectionTiming, Share } from "./measure/section";
import { type Contestant, PASSES, raceInPasses, type Timing } from "./measure/timing";
import { importPeer, peersInstalled } from "./peers";

/** Targets are for these sizes and above. */
const LARGE = 512;
const LARGE_GPU = 4096;
/** Operations that are worth waiting for a GPU. */
const GPU_OPERATIONS = 2e11;

export interface GemmDevice {
  readonly name: string;
  readonly device: Device;
}

export async function benchmarkGemm(
  devices: readonly GemmDevice[],
  sizes: readonly number[],
  machine: Machine,
  options: { peers: boolean; quick: boolean },
): Promise<Section> {
  const shares: Share[] = [];
  const groups: SectionTiming[] = [];
  const gains: number[] = [];
  const rows: (string | number | null)[][] = [];
  const peerNames = options.peers && peersInstalled() ? ["jax-js", "tfjs"] : [];
  const products = [];
  for (const size of sizes) {
    for (const layout of layouts) {
      const made = devices.map(({ name, device }) => makeProduct(name, device, layout, size, timesOn(device, size)));
      products.push({ size, layout, made: [...made, ...(peerNames.length > 0 ? await peerProducts(layout, size) : [])] });
    }
  }
  const raced = await raceInPasses(
    products.map(({ made }) => made.map(({ contestant }) => contestant)),
    options.quick ? 1 : PASSES,
    { minRounds: 2, budgetMs: 500 },
    // Ceilings are measured in the same minutes as what is held against them.
    () => machine.measure(),
  );
  for (const [p, { size, layout, made }] of products.entries()) {
    const timings = raced[p] as Timing[];
    for (const { dispose } of made) dispose();
    groups.push({ of: `${layout} ${size}`, timings });
    const times = (name: string) => timesOn(devices.find((own) => own.name === name)?.device, size);
    const rate = (name: string) => (2 * size ** 3 * times(name)) / (timings.find((t) => t.name === name)?.bestMs ?? Number.NaN) / 1e6;
    for (const { name, device } of devices) {
      const single = devices.find((other) => other.device.info.relaxed === device.info.relaxed && other.device.info.threads === 1);
      if (size >= LARGE && device.info.threads === 2 && single) gains.push(rate(name) / rate(single.name));
    }
    rows.push([
      `${layout} ${size}`,
      ...devices.flatMap(({ name, device }) => {
        const share = rate(name) / (machine.ceilings(device.info)?.gflops ?? Number.NaN);
        shares.push({ name: `${layout} ${size}, ${name}`, share });
        return [rate(name), 100 * share];
      }),
      ...peerNames.map(rate),
    ]);
  }
  return {
    title: `Matrix products on ${devices[0]?.device.info.kind}, best GFLOP/s (and % of the multiply-add ceiling)`,
    columns: ["layout n", ...devices.flatMap(({ name }) => [name, "%"]), ...peerNames],
    rows,
    shares,
    timings: groups,
    targets: [
      ...(["strict", "relaxed"] as const).flatMap((build) => {
        const own = shares.filter(({ name }) => name.endsWith(`${build} 1t`) && Number(/\d+/.exec(name)?.[0]) >= LARGE);
        if (own.length === 0) return [];
        const least = 100 * Math.min(...own.map(({ share }) => share));
        return [
          {
            what: `matrix products at ${LARGE} and above, ${build}, one thread: least share of the ceiling`,
            target: build === "strict" ? 90 : 80,
            measured: least,
            unit: " %",
          },
        ];
      }),
      ...shares
        .filter(({ name }) => name.endsWith(` ${LARGE_GPU}, webgpu`))
        .map(({ name, share }) => ({ what: `matrix product ${name}`, target: 60, measured: 100 * share, unit: " %" })),
      ...(gains.length > 0
        ? [{ what: "matrix products on two threads: least gain", target: 1.9, measured: Math.min(...gains), unit: "x" }]
        : []),
    ],
    notes: [...(options.peers && peerNames.length === 0 ? ["peers are not installed: run `npm run bench:peers`"] : [])],
  };
}

/** How often a product is run before it is waited for. */
function timesOn(device: Device | undefined, size: number): number {
  return device?.info.kind === "webgpu" ? Math.ceil(GPU_OPERATIONS / (2 * size ** 3)) : 1;
}

interface JaxArray {
  readonly ref: JaxArray;
  blockUntilReady(): Promise<JaxArray>;
  dispose(): void;
}
interface Jax {
  init(device: string): Promise<unknown>;
  defaultDevice(device: string): void;
  numpy: { ones(shape: number[]): JaxArray; matmul(a: JaxArray, b: JaxArray): JaxArray; transpose(a: JaxArray): JaxArray };
}
interface TfTensor {
  data(): Promise<Float32Array>;
  dispose(): void;
}
interface Tf {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  ones(shape: number[]): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
}

async function peerProducts(layout: Layout, n: number): Promise<{ contestant: Contestant; dispose: () => void }[]> {
  await importPeer("core-js/full/iterator/index.js");
  const jax = await importPeer<Jax>("@jax-js/jax");
  await jax.init("wasm");
  jax.defaultDevice("wasm");
  const { numpy } = jax;
  const [a, b] = [numpy.ones([n, n]), numpy.ones([n, n])];
  const t = (x: JaxArray, transposed: boolean) => (transposed ? numpy.transpose(x.ref) : x.ref);
  const tf = (await importPeer<{ tf: Tf }>("tfjs.mjs")).tf;
  await tf.setBackend("wasm");
  await tf.ready();
  const [c, d] = [tf.ones([n, n]), tf.ones([n, n])];
  return [
    {
      contestant: {
        name: "jax-js",
        run: async () => (await numpy.matmul(t(a, layout === "TN"), t(b, layout === "NT")).blockUntilReady()).dispose(),
      },
      dispose: () => {
        a.dispose();
        b.dispose();
      },
    },
    {
      contestant: {
        name: "tfjs",
        run: async () => {
          const y = tf.matMul(c, d, layout === "TN", layout === "NT");
          await y.data();
          y.dispose();
        },
      },
      dispose: () => {
        c.dispose();
        d.dispose();
      },
    },
  ];
}
