/** Bit masks of a vocabulary: bit v of word ⌊v / 32⌋ stands for token v. */

/** Words of a mask. */
export const wordsOf = (vocabSize: number): number => Math.ceil(vocabSize / 32);
