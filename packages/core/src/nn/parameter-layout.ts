/** Where parameters lie: one after another in flat buffers no longer than the device allows, a table that is longer than one cut between its rows. */
import { type Device, elementCount, OutOfMemoryError } from "@trimtab/kernels";
import { alignElements } from "../tensor/tensor";

/** Rows of a table are parted at multiples of this, so that any of its parts begins where a window may, whatever its columns. */
export const ROW_STEP = 64;

/** Consecutive rows of a parameter, or all of it, in one flat buffer. */
export interface Place {
  readonly shape: readonly number[];
  readonly firstRow: number;
  /** Which flat buffer it lies in, and its first element there. */
  readonly shard: number;
  readonly offset: number;
}

interface Placed {
  readonly name: string;
  readonly isTable?: boolean | undefined;
}

/**
 * Lays out parameters in order; `shapeOf` is what is kept of each, in elements of four bytes. Returns the buffers' lengths and each parameter's places,
 * several only of tables. Throws OutOfMemoryError for another parameter that is longer than a buffer may be.
 */
export function layOut<Spec extends Placed>(
  device: Pick<Device, "info">,
  specs: readonly Spec[],
  shapeOf: (spec: Spec) => readonly number[],
): { readonly lengths: readonly number[]; readonly places: readonly { readonly spec: Spec; readonly parts: readonly Place[] }[] } {
  const limit = Math.floor(device.info.maxBufferBytes / 4);
  const lengths: number[] = [];
  const place = (shape: readonly number[], firstRow: number): Place => {
    const length = alignElements(elementCount(shape));
    const last = lengths.length - 1;
    if (last < 0 || (lengths[last] as number) + length > limit) lengths.push(0);
    const shard = lengths.length - 1;
    const offset = lengths[shard] as number;
    lengths[shard] = offset + length;
    return { shape, firstRow, shard, offset };
  };
  const places = specs.map((spec) => {
    const [rows = 1, ...rest] = shapeOf(spec);
    const most = rowsPerBuffer(device, spec, shapeOf(spec));
    const parts: Place[] = [];
    for (let first = 0; first < Math.max(1, rows); first += most) parts.push(place([Math.min(most, rows - first), ...rest], first));
    return { spec, parts };
  });
  return { lengths, places };
}

/** Rows of a parameter in one buffer: all of them, or of a table that is longer than one, so many that its parts are about equal. */
function rowsPerBuffer({ info }: Pick<Device, "info">, spec: Placed, shape: readonly number[]): number {
  const { maxBufferBytes, name } = info;
  const bytes = 4 * alignElements(elementCount(shape));
  const [rows = 1] = shape;
  if (bytes <= maxBufferBytes) return Math.max(1, rows);
  const most = spec.isTable ? ROW_STEP * Math.floor(maxBufferBytes / (ROW_STEP * 4 * (shape[1] as number))) : 0;
  if (most > 0) return ROW_STEP * Math.ceil(rows / Math.ceil(rows / most) / ROW_STEP);
  throw new OutOfMemoryError(
    `ParameterSet: parameter \`${spec.name}\` (${shape.join(", ")}) must fit one buffer of ${maxBufferBytes} bytes on ${name}, got ${bytes} bytes. Only embeddings and heads over the vocabulary are kept in parts; use another device, or load linear layers in low precision (dtype).`,
    bytes,
    maxBufferBytes,
  );
}
