/** A frozen model's values as constants of a trainer's tape: a teacher or a reference in the middle of a training pass. */
import { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";

/** What `compute` makes on a tape without gradient, copied to `tape`; everything else of that pass is freed before this returns. */
export function frozenPass(tape: Tape, compute: (pass: Tape) => Tensor): Tensor {
  const pass = new Tape(tape.device, { grad: false });
  try {
    const result = compute(pass);
    const kept = tape.alloc(result.shape);
    tape.device.copy(result, kept);
    return kept;
  } finally {
    pass.dispose();
  }
}
