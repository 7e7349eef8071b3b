/** Plans of the key/value cache. */
import kvCacheSource from "../../../wgsl/kv-cache.wgsl";
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import mathPrelude from "../../../wgsl/lib/math.wgsl";
import reducePrelude from "../../../wgsl/lib/reduce.wgsl";
import type { EntryPoint } from "../../contract";
import { ShapeError } from "../../errors";
import { ops } from "../../ops/index";
import { contractProgram, type Program, passProgram } from "../program";
import type { Binding } from "../recorder";
import { elements, line, type Plan, perElement, single } from "./plan";
import { reducing } from "./reducing";

const kvCache = [gridPrelude, mathPrelude, reducePrelude, kvCacheSource];
/** MAX_D in kv-cache.wgsl. */
const MAX_CACHED_CHANNELS = 256;
const constants = { WORKGROUP: 64 };
const kvCacheExtend = reducing(contractProgram(ops.kvCache.extend, kvCache, { constants }));
/** Bindings and parameters are those of extend. */
const kvCacheAttend = reducing(
  passProgram("kv_cache_attend", kvCache, "r---rrww", ops.kvCache.extend.params.map(({ name, type }) => `${name}:${type}`).join(" "), {
    constants,
  }),
);

/** A workgroup for each head of each row; `arrange` gives bindings in the order of extend. */
const attending = (
  entry: EntryPoint,
  program: Program,
  arrange: (tensors: readonly (Binding | undefined)[]) => readonly (Binding | undefined)[],
): Plan => ({
  entry,
  programs: () => [program],
  run: (context, tensors, values) => {
    const { N, H, D } = values as { N: number; H: number; D: number };
    if (D > MAX_CACHED_CHANNELS) {
      throw new ShapeError(
        `${entry.name}: heads must have at most ${MAX_CACHED_CHANNELS} channels on webgpu, got ${D}. Use the wasm device.`,
      );
    }
    const [x, y] = line(N);
    context.run(program, arrange(tensors), { T: 0, R: 0, ...values }, [x, y, H]);
  },
});

export const kvCachePlans: Plan[] = [
  single(contractProgram(ops.kvCache.write, kvCache), ({ N, K, D }) => elements(N! * 2 * K! * D!)),
  perElement(ops.kvCache.copy, kvCache, "N", "E"),
  attending(ops.kvCache.attend, kvCacheAttend, ([qkv, cache, tables, lengths, o]) => [
    qkv,
    undefined,
    undefined,
    undefined,
    tables,
    lengths,
    cache,
    o,
  ]),
  attending(ops.kvCache.extend, kvCacheExtend, (tensors) => tensors),
];
