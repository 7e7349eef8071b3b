/** cl100k, Llama 3 (k = 3) and Qwen 2 and 3 (k = 1): (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,k}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
import { contraction, isNewline, linesOrSpaces, run } from "./scan-parts";
import { LETTER, NUMBER, OTHER, classAt, width } from "./unicode";

/** `digits` is k. */
export function nextCl100k(p: usize, end: usize, digits: u32): usize {
  const first = load<u8>(p);
  if (first == 0x27) {
    const length = contraction(p, end, 0x20);
    if (length != 0) return p + length;
  }
  let kind = classAt(p);
  let q = p + width;
  if (kind == LETTER) return run(q, end, LETTER);
  if (kind == NUMBER) {
    for (let k: u32 = 1; k < digits && q < end && classAt(q) == NUMBER; k++) q += width;
    return q;
  }
  if (q < end && !isNewline(p)) {
    const next = classAt(q);
    if (next == LETTER) return run(q + width, end, LETTER);
    if (first == 0x20 && next == OTHER) {
      kind = OTHER;
      q += width;
    }
  }
  if (kind != OTHER) return linesOrSpaces(p, end);
  q = run(q, end, OTHER);
  while (q < end && isNewline(q)) q += 1;
  return q;
}
