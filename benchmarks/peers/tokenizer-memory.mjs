/** Loads one tokenizer of cl100k and prints the bytes that it keeps, heap and buffers, and by how many the process peaks above its start. Run with --expose-gc. */
import { readFileSync } from "node:fs";
import { load, ranks } from "./tokenizers.mjs";

const [name, jsonPath] = process.argv.slice(2);
// The library is loaded anyway; what counts is the vocabulary.
const own = name === "trimtab" ? await import("@trimtab/core") : undefined;

function used() {
  for (let i = 0; i < 3; i++) globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const before = used();
/** Linux tells it for the program that runs; what `resourceUsage` says there includes the process that started it. */
function peakBytes() {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS * 1024;
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
}
const peakBefore = peakBytes();
const tokenizer = own
  ? own.Tokenizer.fromTiktoken(ranks(), { expression: own.splitExpressions.cl100k })
  : await load(name, jsonPath && JSON.parse(readFileSync(jsonPath, "utf8")));
tokenizer.encode("hello there");
const peak = peakBytes() - peakBefore;
await new Promise((resolve) => setTimeout(resolve, 50));
console.log(used() - before, peak);
tokenizer.encode("still here");
