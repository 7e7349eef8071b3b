/** @trimtab/core: autograd, decoder models, tokenizers, generation, losses, optimisers and trainers, on any device. */
export type { Device, DeviceInfo } from "@trimtab/kernels";
export * from "./autograd/elementwise";
export * from "./autograd/segment";
export * from "./autograd/tape";
export * from "./autograd/token-logprob";
export * from "./data/batch";
export * from "./errors";
export * from "./models/config";
export * from "./models/decoder";
export * from "./models/family";
export * from "./models/logprobs";
export * from "./models/registry";
export * from "./nn/parameters";
export * from "./optim/adamw";
export * from "./optim/schedule";
export * from "./tensor/tensor";
export * from "./tokenizer/index";
