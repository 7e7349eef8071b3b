/** Writes assembly/tokenizer/unicode-ranges.ts from this Node's Unicode data. Run by hand when Unicode moves on: node scripts/unicode-ranges.mjs */
import { writeFileSync } from "node:fs";

const classes = [
  [/\p{L}/u, 1],
  [/\p{N}/u, 2],
  [/\p{White_Space}/u, 3],
];
const classOf = (code) => {
  if (code >= 0xd800 && code <= 0xdfff) return 0;
  const text = String.fromCodePoint(code);
  return classes.find(([pattern]) => pattern.test(text))?.[1] ?? 0;
};

const ranges = [];
for (let code = 0, start = 0, current = classOf(0); code <= 0x10ffff; code++) {
  const next = code === 0x10ffff ? 0 : classOf(code + 1);
  if (next === current) continue;
  if (current !== 0) ranges.push([start, code, current]);
  start = code + 1;
  current = next;
}

const rows = [];
for (let i = 0; i < ranges.length; i += 8) {
  rows.push(
    `  ${ranges
      .slice(i, i + 8)
      .map(([start, end, kind]) => `0x${start.toString(16)}, 0x${(end | (kind << 24)).toString(16)}`)
      .join(", ")},`,
  );
}
writeFileSync(
  new URL("../assembly/tokenizer/unicode-ranges.ts", import.meta.url),
  `/** Code points of \\p{L} (1), \\p{N} (2) and \\p{White_Space} (3), Unicode ${process.versions.unicode}; written by scripts/unicode-ranges.mjs. */

/** Pairs: first code point, then last code point | class << 24; ascending. */
export const RANGES: usize = memory.data<u32>([
${rows.join("\n")}
]);
export const RANGE_COUNT: i32 = ${ranges.length};
`,
);
