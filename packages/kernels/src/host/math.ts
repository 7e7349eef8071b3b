/** Elementary functions that give the same bits on every JavaScript engine, which `Math`'s own do not. */
import { host } from "./host-module";

/** f64 in, f64 out, from AssemblyScript's portable mathematics. Use these wherever a number reaches weights, data order or a test. */
export const hostMath = {
  /** e^x */
  exp: (x: number): number => host().exp(x),
  /** e^x - 1, exact near 0 */
  expm1: (x: number): number => host().expm1(x),
  /** Natural logarithm */
  log: (x: number): number => host().log(x),
  /** ln(1 + x), exact near 0 */
  log1p: (x: number): number => host().log1p(x),
  /** x^y */
  pow: (x: number, y: number): number => host().pow(x, y),
  sin: (x: number): number => host().sin(x),
  cos: (x: number): number => host().cos(x),
  tanh: (x: number): number => host().tanh(x),
  sqrt: (x: number): number => host().sqrt(x),
} as const;
