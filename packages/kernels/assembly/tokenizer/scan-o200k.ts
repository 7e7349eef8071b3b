/**
 * o200k, with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L = [\p{Ll}\p{Lm}\p{Lo}\p{M}] and C = (?i:'s|'t|'re|'ve|'m|'ll|'d):
 * [^\r\n\p{L}\p{N}]?U*L+C?|[^\r\n\p{L}\p{N}]?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
import { contraction, isNewline, linesOrSpaces } from "./scan-parts";
import { CASELESS, LOWER, MARK, NUMBER, OTHER, SPACE, UPPER, classAt, width } from "./unicode";

// @ts-ignore: decorator
@inline
function isUpper(kind: u32): bool {
  return kind == UPPER || kind == CASELESS || kind == MARK;
}

// @ts-ignore: decorator
@inline
function isLower(kind: u32): bool {
  return kind == LOWER || kind == CASELESS || kind == MARK;
}

export function nextO200k(p: usize, end: usize): usize {
  const kind = classAt(p);
  const afterFirst = p + width;
  if (kind == NUMBER) {
    let q = afterFirst;
    for (let k = 1; k < 3 && q < end && classAt(q) == NUMBER; k++) q += width;
    return q;
  }
  const canLead = (kind == OTHER || kind == SPACE || kind == MARK) && !isNewline(p);
  const isWord = isUpper(kind) || kind == LOWER;
  // In the expression's order: each alternative with a leading character, then without.
  let q: usize = 0;
  if (canLead) q = endingLower(afterFirst, end);
  if (q == 0 && isWord) q = endingLower(p, end);
  if (q == 0 && canLead) q = beginningUpper(afterFirst, end);
  if (q == 0 && isWord) q = beginningUpper(p, end);
  if (q != 0) return q < end && load<u8>(q) == 0x27 ? q + contraction(q, end, 0x20) : q;
  return others(p, end);
}

/** U*L+ from p, or 0. */
function endingLower(p: usize, end: usize): usize {
  let q = p;
  // After the last character of the run U* that is in L too.
  let afterBoth: usize = 0;
  while (q < end) {
    const kind = classAt(q);
    if (!isUpper(kind)) break;
    q += width;
    if (kind != UPPER) afterBoth = q;
  }
  const from = q;
  while (q < end && isLower(classAt(q))) q += width;
  // U* gives back what L+ needs.
  return q > from ? q : afterBoth;
}

/** U+L* from p, or 0. */
function beginningUpper(p: usize, end: usize): usize {
  let q = p;
  while (q < end && isUpper(classAt(q))) q += width;
  if (q == p) return 0;
  while (q < end && isLower(classAt(q))) q += width;
  return q;
}

/**  ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
function others(p: usize, end: usize): usize {
  const from = load<u8>(p) == 0x20 ? p + 1 : p;
  let q = from;
  while (q < end) {
    const kind = classAt(q);
    if (kind != OTHER && kind != MARK) break;
    q += width;
  }
  if (q == from) return linesOrSpaces(p, end);
  while (q < end && (isNewline(q) || load<u8>(q) == 0x2f)) q += 1;
  return q;
}
