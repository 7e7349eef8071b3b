/** Entry of engine-strict.wasm and engine-relaxed.wasm: every kernel of the wasm device. */
export { set_thread_scratch, thread_scratch_bytes } from "./lib/scratch";
export { kernel16 as gemm__kernel16, kernel8 as gemm__kernel8 } from "./lib/gemm";
export { accumulate_add, binary_backward, binary_forward, fill_set, unary_backward, unary_forward } from "./engine/elementwise";
export * from "./engine/adamw";
export { attention_backward__groups, attention_forward__blocks } from "./engine/attention";
export * from "./engine/embedding";
export * from "./engine/gated-activation";
export * from "./engine/head-norm";
export * from "./engine/kv-cache";
export * from "./engine/layer-norm";
export { dots2 as gemm__dots2, matmul__blocks, matmul__dots, matmul_backward_bias } from "./engine/matmul";
export * from "./engine/policy-loss";
export { rms_norm_backward__rows, rms_norm_forward } from "./engine/rms-norm";
export * from "./engine/rope";
export * from "./engine/sample";
export * from "./engine/segment";
export * from "./engine/token-logprob";
