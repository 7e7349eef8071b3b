/** Handles to device memory: making, uploading and slicing tensors. A tensor is a view; who frees it is said by its maker. */
import {
  type Device,
  type Dtype,
  elementCount,
  type MemoryKind,
  ShapeError,
  type TensorData,
  type TensorRef,
  VIEW_ALIGNMENT,
} from "@trimtab/kernels";

export type Tensor = TensorRef;

/** Allocates a tensor with undefined contents; the caller frees it with `device.free(tensor.buffer)`. `kind`: what it counts as, default "other". */
export function allocate(device: Device, shape: readonly number[], dtype: Dtype = "f32", kind?: MemoryKind): Tensor {
  return { buffer: device.alloc(Math.max(4, elementCount(shape) * 4), kind), byteOffset: 0, shape, dtype };
}

/** Allocates a tensor and fills it with `data`. Default shape: one axis. */
export function upload(device: Device, data: TensorData, shape: readonly number[] = [data.length], kind?: MemoryKind): Tensor {
  const tensor = allocate(device, shape, data instanceof Uint32Array ? "u32" : "f32", kind);
  if (data.length > 0) device.write(tensor, data);
  return tensor;
}

/** The same elements under another shape. */
export function reshape(tensor: Tensor, shape: readonly number[]): Tensor {
  if (elementCount(shape) !== elementCount(tensor.shape)) {
    throw new ShapeError(
      `reshape: (${shape.join(", ")}) must hold ${elementCount(tensor.shape)} elements as (${tensor.shape.join(", ")}) does.`,
    );
  }
  return { ...tensor, shape };
}

/** A window on a buffer, starting `elementOffset` elements after the tensor's start; the start must be aligned to 256 bytes. */
export function windowOf(tensor: Tensor, elementOffset: number, shape: readonly number[]): Tensor {
  const byteOffset = tensor.byteOffset + elementOffset * 4;
  if (byteOffset % VIEW_ALIGNMENT !== 0)
    throw new ShapeError(`windowOf: a window must start on ${VIEW_ALIGNMENT} bytes, got ${byteOffset}.`);
  return { ...tensor, byteOffset, shape };
}

/** Elements up to the next place where a window may start. */
export function alignElements(count: number): number {
  const step = VIEW_ALIGNMENT / 4;
  return Math.ceil(count / step) * step;
}
