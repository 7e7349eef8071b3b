/** @trimtab/kernels: op contracts, the device interface, and host-side deterministic mathematics. */
export * from "./bind";
export * from "./contract";
export * from "./cost";
export * from "./device";
export * from "./errors";
export * from "./host/index";
export * from "./ops/index";
export * from "./tuning";
export * from "./weight-formats";
