/** Writes assembly/tokenizer/unicode-runs.ts from this Node's Unicode data. Run by hand when Unicode moves on: node scripts/unicode-runs.mjs */
import { writeFileSync } from "node:fs";

/** The classes that the scanners tell apart; see assembly/tokenizer/unicode.ts. */
const classes = [
  [/\p{M}/u, 1],
  [/\p{N}/u, 2],
  [/\p{White_Space}/u, 3],
  [/[\p{Lu}\p{Lt}]/u, 4],
  [/\p{Ll}/u, 5],
  [/[\p{Lm}\p{Lo}]/u, 6],
];
const classOf = (code) => {
  if (code >= 0xd800 && code <= 0xdfff) return 0;
  const text = String.fromCodePoint(code);
  return classes.find(([pattern]) => pattern.test(text))?.[1] ?? 0;
};

const bytes = [];
const push = (length, kind) => {
  let value = length * 8 + kind;
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  bytes.push(value);
};
for (let code = 0, start = 0; code <= 0x10ffff; code++) {
  const kind = classOf(code);
  if (code < 0x10ffff && classOf(code + 1) === kind) continue;
  push(code + 1 - start, kind);
  start = code + 1;
}

const rows = [];
for (let i = 0; i < bytes.length; i += 32) rows.push(`  ${bytes.slice(i, i + 32).join(", ")},`);
writeFileSync(
  new URL("../assembly/tokenizer/unicode-runs.ts", import.meta.url),
  `/** Classes of all code points, Unicode ${process.versions.unicode}; written by scripts/unicode-runs.mjs. */

/** Runs from U+0000 to U+10FFFF: length << 3 | class in base 128, least significant digits first, all but the last digit + 128. */
export const RUNS: usize = memory.data<u8>([
${rows.join("\n")}
]);
export const RUNS_SIZE: usize = ${bytes.length};
`,
);
