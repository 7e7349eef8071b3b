/** The reference device and its pieces: f64, plain loops, one file per op. */
export { createReferenceDevice, type ReferenceDevice } from "./device";
export type { Implementation, ReferenceTensors, ReferenceValues } from "./implement";
export { computeReference, implementations } from "./implementations";
export { processLogits, type SamplingOptions } from "./sample";
export { threefry2x32, uniform } from "./threefry";
