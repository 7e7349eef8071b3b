/** @trimtab/kernels/conformance: what a device must do, as data and as a runner for Node and browsers. */
export { type Case, type InputContext, type StatedTolerance, type Trial, trialsOf, type Values } from "./case";
export { cases, gradientChecks } from "./cases/index";
export {
  DEFAULT_TOLERANCE,
  type ExpectCloseOptions,
  expectClose,
  LOOSEST,
  MismatchError,
  type Tolerance,
  ToleranceError,
} from "./expect-close";
export { checkGradient, type GradientCheck, type GradientPass } from "./gradient";
export { type Measurement, type MeasureOptions, measure } from "./measure";
export { type ConformanceOptions, conformance, execute, GUARD_BYTES, runTrial, type Skip, skipReason, type TrialResult } from "./run";
