/** Square matrix products on wasm, in the three layouts of a linear layer, beside the peers, as shares of the ceiling. */
import { allocate, type Device } from "@trimtab/core";
import { type EntryPoint, ops } from "@trimtab/kernels";
import { measureCeiling } from "./ceiling";
import { importPeer, peersInstalled } from "./peers";
import type { Section } from "./report";
import { type Contestant, race } from "./timing";

type Layout = "NT" | "NN" | "TN";

/** y = x wᵀ, dx = dy w, dw = dyᵀ x: what each layout is for, with its tensors in contract order. */
const LAYOUTS: Record<Layout, { entry: EntryPoint; tensors: readonly [string, string, string] }> = {
  NT: { entry: ops.matmul.forward, tensors: ["x", "w", "y"] },
  NN: { entry: ops.matmul.backwardInput, tensors: ["dy", "w", "dx"] },
  TN: { entry: ops.matmul.backwardWeight, tensors: ["dy", "x", "dw"] },
};

export interface GemmDevice {
  readonly name: string;
  readonly build: "strict" | "relaxed";
  readonly device: Device;
}

export async function benchmarkGemm(
  devices: readonly GemmDevice[],
  sizes: readonly number[],
  options: { peers: boolean },
): Promise<Section> {
  const ceilings = { strict: measureCeiling("strict"), relaxed: measureCeiling("relaxed") };
  const rows: (string | number | null)[][] = [];
  const peerNames = options.peers && peersInstalled() ? ["jax-js", "tfjs"] : [];
  for (const size of sizes) {
    for (const layout of ["NT", "NN", "TN"] as const) {
      const made = devices.map(({ name, device }) => ours(name, device, layout, size));
      const peers = peerNames.length > 0 ? await peerProducts(layout, size) : [];
      const timings = await race([...made.map((m) => m.contestant), ...peers.map((p) => p.contestant)], { budgetMs: 1500 });
      for (const { dispose } of [...made, ...peers]) dispose();
      const rate = (name: string) => (2 * size ** 3) / (timings.find((t) => t.name === name)?.bestMs ?? Number.NaN) / 1e6;
      const peerRates = peerNames.map(rate);
      rows.push([
        `${layout} ${size}`,
        ...devices.flatMap(({ name, build, device }) => [
          rate(name),
          (100 * rate(name)) / ((ceilings[build] ?? Number.NaN) * device.info.threads),
        ]),
        ...peerRates,
      ]);
    }
  }
  return {
    title: "Matrix products on wasm, best GFLOP/s (and % of the multiply-add ceiling of its build and threads)",
    columns: ["layout n", ...devices.flatMap(({ name }) => [name, "%"]), ...peerNames],
    rows,
    notes: [
      `multiply-add ceiling, one thread: strict ${ceilings.strict?.toFixed(1)} GFLOP/s, relaxed ${ceilings.relaxed?.toFixed(1) ?? "refused by this V8"}`,
      ...(options.peers && peerNames.length === 0 ? ["peers are not installed: run `npm run bench:peers`"] : []),
    ],
  };
}

function ours(name: string, device: Device, layout: Layout, n: number): { contestant: Contestant; dispose: () => void } {
  const { entry, tensors } = LAYOUTS[layout];
  const made = tensors.map(() => allocate(device, [n, n]));
  for (const tensor of made)
    device.write(
      tensor,
      Float32Array.from({ length: n * n }, (_, i) => ((i * 7919) % 97) / 97 - 0.5),
    );
  const args = { tensors: Object.fromEntries(tensors.map((key, i) => [key, made[i]])) };
  return {
    contestant: {
      name,
      run: () => {
        device.dispatch(entry, args);
        return device.sync();
      },
    },
    dispose: () => {
      for (const { buffer } of made) device.free(buffer);
    },
  };
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
