/** Blocks of code between fences of three back-ticks, as models write them. */

export interface FencedBlock {
  /** The word after the opening fence, in lower case; "" without one. */
  readonly language: string;
  readonly code: string;
}

/** Every block in order. One that is never closed goes to the end of the text, as a completion that was cut off has it. */
export function fencedBlocks(text: string): FencedBlock[] {
  const blocks: FencedBlock[] = [];
  let open: { language: string; lines: string[] } | undefined;
  const close = () => {
    if (open) blocks.push({ language: open.language, code: open.lines.join("\n") });
    open = undefined;
  };
  for (const line of text.split("\n")) {
    const fence = /^\s*```/.test(line);
    if (open && fence) close();
    else if (open) open.lines.push(line);
    else if (fence) open = { language: (line.trim().slice(3).trim().split(/\s/, 1)[0] as string).toLowerCase(), lines: [] };
  }
  close();
  return blocks;
}
