/** Entry of host.wasm: deterministic mathematics, random numbers, rotary tables and advantages for the host side. */
export * from "./math/elementary";
export * from "./math/draws";
export * from "./math/rope";
export * from "./advantage/group";
export * from "./advantage/process";
export * from "./advantage/temporal";

/** First free byte: the host lays its arrays out from here. */
export function heap_base(): usize {
  return __heap_base;
}
