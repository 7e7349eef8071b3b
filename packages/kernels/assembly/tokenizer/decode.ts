/** Ids to bytes by table. */
let offsets: usize = 0;
let bytes: usize = 0;
let size: u32 = 0;

/** tokenOffsets (count + 1) u32 into tokenBytes; both stay where they are. */
export function setPieces(tokenOffsets: usize, tokenBytes: usize, count: u32): void {
  offsets = tokenOffsets;
  bytes = tokenBytes;
  size = count;
}

/** Bytes that ids (n) decode to, or -1 - i where ids[i] is outside the vocabulary. */
export function decodedSize(ids: usize, n: u32): i32 {
  let total: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const id = load<u32>(ids + (<usize>i << 2));
    if (id >= size) return -1 - <i32>i;
    const at = offsets + (<usize>id << 2);
    total += load<u32>(at, 4) - load<u32>(at);
  }
  return total;
}

export function decode(ids: usize, n: u32, out: usize): void {
  for (let i: u32 = 0; i < n; i++) {
    const at = offsets + (<usize>load<u32>(ids + (<usize>i << 2)) << 2);
    const from = load<u32>(at);
    const length = <usize>(load<u32>(at, 4) - from);
    memory.copy(out, bytes + from, length);
    out += length;
  }
}
