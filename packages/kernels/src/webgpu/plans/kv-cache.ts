/** Plans of the key/value cache. */
import kvCacheSource from "../../../wgsl/kv-cache.wgsl";
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import mathPrelude from "../../../wgsl/lib/math.wgsl";
import reducePrelude from "../../../wgsl/lib/reduce.wgsl";
import { ShapeError } from "../../errors";
import { ops } from "../../ops/index";
import { contractProgram } from "../program";
import { elements, line, type Plan, perElement, single } from "./plan";

const kvCache = [gridPrelude, mathPrelude, reducePrelude, kvCacheSource];
/** MAX_D in kv-cache.wgsl. */
const MAX_CACHED_CHANNELS = 256;
const kvCacheAttend = contractProgram(ops.kvCache.attend, kvCache, { constants: { WORKGROUP: 64 } });

export const kvCachePlans: Plan[] = [
  single(contractProgram(ops.kvCache.write, kvCache), ({ N, K, D }) => elements(N! * 2 * K! * D!)),
  perElement(ops.kvCache.copy, kvCache, "N", "E"),
  {
    entry: ops.kvCache.attend,
    programs: () => [kvCacheAttend],
    run: (context, tensors, values) => {
      const { N, H, D } = values as { N: number; H: number; D: number };
      if (D > MAX_CACHED_CHANNELS) {
        throw new ShapeError(
          `kv_cache_attend: heads must have at most ${MAX_CACHED_CHANNELS} channels on webgpu, got ${D}. Use the wasm device.`,
        );
      }
      const [x, y] = line(N);
      context.run(kvCacheAttend, tensors, values, [x, y, H]);
    },
  },
];
