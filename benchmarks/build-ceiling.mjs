/** Compiles the ceilings, strict and relaxed. */
import { mkdirSync } from "node:fs";
import asc from "assemblyscript/asc";

mkdirSync("build", { recursive: true });
for (const [name, features] of [
  ["ceiling-strict", "simd"],
  ["ceiling-relaxed", "simd,relaxed-simd"],
]) {
  const { error, stderr } = await asc.main([
    "assembly/ceiling.ts",
    ...["-o", `build/${name}.wasm`, "-O3", "--noAssert", "--runtime", "stub", "--enable", features],
  ]);
  if (error) throw new Error(`${name}: ${stderr}`, { cause: error });
}
