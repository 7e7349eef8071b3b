/** Pre-tokenization: which scanner cuts words. Each has the semantics of a published regular expression. */
import { nextCl100k } from "./scan-cl100k";
import { beginIsolated, nextGpt2, nextIsolated } from "./scan-gpt2";
import { nextO200k } from "./scan-o200k";
import { configureClasses } from "./unicode";

/** The text is one word. */
export const WHOLE: u32 = 0;
export const GPT2: u32 = 1;
/** Each number character first becomes a piece of its own. */
export const GPT2_DIGITS: u32 = 2;
export const CL100K: u32 = 3;
export const O200K: u32 = 4;
/** Words begin at each U+2581. */
export const METASPACE: u32 = 5;
/** Words begin at each run of U+2581. */
export const METASPACE_RUNS: u32 = 6;

let scanner: u32 = GPT2;
/** CL100K: most digits in one word. */
let digitLimit: u32 = 3;

export function configureScanner(kind: u32, digits: u32): void {
  scanner = kind;
  digitLimit = digits;
  configureClasses(kind == O200K);
}

export function beginScan(text: usize): void {
  beginIsolated(text);
}

/** End of the word that begins at p < end. */
// @ts-ignore: decorator
@inline
export function nextWord(p: usize, end: usize): usize {
  switch (scanner) {
    case CL100K:
      return nextCl100k(p, end, digitLimit);
    case GPT2:
      return nextGpt2(p, end);
    case GPT2_DIGITS:
      return nextIsolated(p, end);
    case O200K:
      return nextO200k(p, end);
    case METASPACE:
    case METASPACE_RUNS:
      return nextMetaspace(p, end, scanner == METASPACE_RUNS);
    default:
      return end;
  }
}

/** UTF-8 of U+2581, little endian. */
// @ts-ignore: decorator
@inline
function isMetaspace(p: usize): bool {
  return (load<u32>(p) & 0xffffff) == 0x8196e2;
}

function nextMetaspace(p: usize, end: usize, runs: bool): usize {
  if (runs) while (p < end && isMetaspace(p)) p += 3;
  else p += 1;
  while (p < end && !isMetaspace(p)) p += 1;
  return p;
}
