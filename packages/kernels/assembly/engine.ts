/** Entry of engine-strict.wasm and engine-relaxed.wasm: every kernel of the wasm device. */
export { set_thread_scratch, thread_scratch_bytes } from "./lib/scratch";
export { kernel12 as gemm__kernel12, kernel8 as gemm__kernel8, kernel4 as gemm__kernel4, packRows as gemm__pack_rows, packColumns as gemm__pack_columns } from "./lib/gemm";
export * from "./engine/matmul";
