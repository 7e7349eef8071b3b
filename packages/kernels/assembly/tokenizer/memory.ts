/** A bump allocator with marks (model tables stay below, one call's scratch is released), and growable arrays on top of it. */

let top: usize = (__heap_base + 15) & ~15;

/** Reserves bytes, aligned to 16; contents are whatever was there before. 16 bytes beyond them can be read. */
export function alloc(sizeBytes: usize): usize {
  const at = top;
  top = (at + sizeBytes + 15) & ~15;
  const pages = <i32>((top + 16 + 0xffff) >>> 16) - memory.size();
  // A mebibyte at a time keeps the number of grows, each of which detaches the host's views, small.
  if (top < at || (pages > 0 && memory.grow(max(pages, 16)) < 0 && memory.grow(pages) < 0)) unreachable();
  return at;
}

export function mark(): usize {
  return top;
}

export function release(to: usize): void {
  top = to;
}

/** A growable run of bytes. A push may move it, so hold offsets, not addresses. */
@unmanaged
export class Vector {
  data: usize;
  length: usize;
  capacity: usize;
}

export function vector(capacity: usize): Vector {
  const v = changetype<Vector>(alloc(offsetof<Vector>()));
  v.data = alloc(capacity);
  v.length = 0;
  v.capacity = capacity;
  return v;
}

/** Makes room for sizeBytes at the end and returns their address. */
export function push(v: Vector, sizeBytes: usize): usize {
  const end = v.length + sizeBytes;
  if (end > v.capacity) {
    const capacity = max(end, v.capacity << 1);
    const data = alloc(capacity);
    memory.copy(data, v.data, v.length);
    v.data = data;
    v.capacity = capacity;
  }
  const at = v.data + v.length;
  v.length = end;
  return at;
}
