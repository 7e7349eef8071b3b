/**
 * Which cache blocks hold the beginning of a prompt: a tree of full blocks of tokens (automatic prefix caching, vLLM; the tree is SGLang's, Zheng
 * et al. 2024).
 *
 * Every row that uses a block uses its ancestors too, and gives blocks back from its end to its beginning. So an idle block has been idle for
 * longer than its ancestors, and is given up before them.
 */

interface Node {
  readonly block: number;
  /** By the tokens of the next block. */
  readonly children: Map<string, Node>;
  /** Takes the node out of the tree. */
  readonly remove: () => void;
}

export class PrefixIndex {
  readonly #blockSize: number;
  /** By what is added to the positions of the row: keys turned by other angles are other keys. */
  readonly #roots = new Map<number, Map<string, Node>>();
  readonly #nodes = new Map<number, Node>();

  constructor(blockSize: number) {
    this.#blockSize = blockSize;
  }

  /** Blocks that hold the prompt's first tokens, never its last token: that one has to be computed for the sake of its logits. */
  find(prompt: Uint32Array, positionShift: number): number[] {
    const blocks: number[] = [];
    let level = this.#roots.get(positionShift);
    for (let end = this.#blockSize; level && end < prompt.length; end += this.#blockSize) {
      const node = level.get(this.#keyOf(prompt, end));
      if (!node) break;
      blocks.push(node.block);
      level = node.children;
    }
    return blocks;
  }

  /** Enters the full blocks of a prompt, in `table`; returns those that are new. Where another block holds the same tokens, that one stays, and what follows is left out. */
  add(prompt: Uint32Array, positionShift: number, table: Uint32Array): number[] {
    const added: number[] = [];
    let level = this.#roots.get(positionShift) ?? new Map<string, Node>();
    this.#roots.set(positionShift, level);
    for (let i = 0; (i + 1) * this.#blockSize <= prompt.length; i++) {
      const block = table[i] as number;
      const key = this.#keyOf(prompt, (i + 1) * this.#blockSize);
      let node = level.get(key);
      if (node && node.block !== block) break;
      if (!node) {
        const siblings = level;
        node = { block, children: new Map(), remove: () => siblings.delete(key) };
        level.set(key, node);
        this.#nodes.set(block, node);
        added.push(block);
      }
      level = node.children;
    }
    return added;
  }

  /** The block's contents are gone. */
  forget(block: number): void {
    this.#nodes.get(block)?.remove();
    this.#nodes.delete(block);
  }

  #keyOf(prompt: Uint32Array, end: number): string {
    return prompt.subarray(end - this.#blockSize, end).join();
  }
}
