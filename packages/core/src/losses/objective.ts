/** What every objective gives back: where its gradient enters the tape. */
import type { Tensor } from "../tensor/tensor";

/** Tensors of the tape with the gradients that start there: the argument of `tape.backward`. */
export type Roots = readonly (readonly [tensor: Tensor, gradient: Tensor])[];
