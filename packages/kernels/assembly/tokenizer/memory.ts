/** A bump allocator with marks (model tables stay below, one call's scratch is released), and growable arrays on top of it. */

let top: usize = (__heap_base + 15) & ~15;

/** Reserves bytes, aligned to 16; contents are whatever was there before. */
export function alloc(sizeBytes: usize): usize {
  const at = top;
  top = (at + sizeBytes + 15) & ~15;
  const pages = <i32>((top + 0xffff) >>> 16) - memory.size();
  // Doubling keeps the number of grows, each of which detaches the host's views, small.
  if (top < at || (pages > 0 && memory.grow(max(pages, min(memory.size(), 1024))) < 0 && memory.grow(pages) < 0)) unreachable();
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

/** FNV-1a over bytes with a final mix, for tables of byte strings. */
export function hashBytes(p: usize, length: usize): u32 {
  let h: u32 = 0x811c9dc5;
  for (let i: usize = 0; i < length; i++) h = (h ^ load<u8>(p + i)) * 0x01000193;
  h ^= h >>> 15;
  return h * 0x2c1b3c6d ^ (h >>> 12);
}
