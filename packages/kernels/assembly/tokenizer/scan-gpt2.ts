/** GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
import { contraction, run, spaces } from "./scan-parts";
import { NUMBER, SPACE, classAt, width } from "./unicode";

export function nextGpt2(p: usize, end: usize): usize {
  const first = load<u8>(p);
  if (first == 0x27) {
    const length = contraction(p, end, 0);
    if (length != 0) return p + length;
  }
  const q = first == 0x20 && p + 1 < end ? p + 1 : p;
  const kind = classAt(q);
  return kind == SPACE ? spaces(p, end) : run(q + width, end, kind);
}

let pieceEnd: usize = 0;

export function beginIsolated(text: usize): void {
  pieceEnd = text;
}

/** Number characters split the text first, each a word of its own; the expression then runs over each piece alone. */
export function nextIsolated(p: usize, end: usize): usize {
  if (p >= pieceEnd) {
    if (classAt(p) == NUMBER) return p + width;
    let q = p;
    while (q < end && classAt(q) != NUMBER) q += width;
    pieceEnd = q;
  }
  return nextGpt2(p, pieceEnd);
}
