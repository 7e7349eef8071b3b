/** A vocabulary as a trie of bytes, laid out so that a walk over all of it is one loop. */

/** What makes tokens of bytes. */
export interface ByteTokens {
  readonly vocabSize: number;
  /** Undefined for tokens without text. */
  tokenBytes(id: number): Uint8Array | undefined;
}

export class VocabularyTrie {
  /** Nodes in preorder: the byte that leads to each, its depth (1 for the first byte), and the node after its subtree. */
  readonly bytes: Uint8Array;
  readonly depths: Uint16Array;
  readonly ends: Uint32Array;
  /** Tokens that end at node i are ids[starts[i]] .. ids[starts[i + 1] - 1]. */
  readonly starts: Uint32Array;
  readonly ids: Uint32Array;
  readonly maxDepth: number;

  constructor(tokens: ByteTokens) {
    const words = Array.from({ length: tokens.vocabSize }, (_, id) => ({ id, bytes: tokens.tokenBytes(id) }))
      .flatMap(({ id, bytes }) => (bytes && bytes.length > 0 ? [{ id, bytes }] : []))
      .sort((a, b) => compare(a.bytes, b.bytes) || a.id - b.id);
    const nodes: { byte: number; depth: number; start: number }[] = [];
    let previous: Uint8Array = new Uint8Array(0);
    words.forEach(({ bytes }, at) => {
      let shared = 0;
      while (shared < previous.length && shared < bytes.length && previous[shared] === bytes[shared]) shared++;
      for (let depth = shared; depth < bytes.length; depth++) {
        // Tokens before the last byte's node belong to nodes before it: none end here yet.
        nodes.push({ byte: bytes[depth] as number, depth: depth + 1, start: at });
      }
      previous = bytes;
    });
    this.bytes = Uint8Array.from(nodes, ({ byte }) => byte);
    this.depths = Uint16Array.from(nodes, ({ depth }) => depth);
    this.ids = Uint32Array.from(words, ({ id }) => id);
    this.maxDepth = nodes.reduce((most, { depth }) => Math.max(most, depth), 0);
    this.ends = new Uint32Array(nodes.length);
    this.starts = new Uint32Array(nodes.length + 1).fill(words.length);
    const open: number[] = [];
    for (let i = 0; i <= nodes.length; i++) {
      const depth = nodes[i]?.depth ?? 0;
      while (open.length > 0 && (nodes[open.at(-1) as number] as { depth: number }).depth >= depth) this.ends[open.pop() as number] = i;
      if (i < nodes.length) open.push(i);
    }
    nodes.forEach(({ start, depth }, i) => {
      // In sorted order the tokens of a node come before those of its children, and are as long as it is deep.
      this.starts[i] = (words[start] as { bytes: Uint8Array }).bytes.length === depth ? start : (nodes[i + 1]?.start ?? words.length);
    });
  }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
  return a.length - b.length;
}
