/** Plans of the ops with one thread per element. */

import columnsSource from "../../../wgsl/columns.wgsl";
import dropoutSource from "../../../wgsl/dropout.wgsl";
import elementwiseSource from "../../../wgsl/elementwise.wgsl";
import embeddingSource from "../../../wgsl/embedding.wgsl";
import gatedActivationSource from "../../../wgsl/gated-activation.wgsl";
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import mathPrelude from "../../../wgsl/lib/math.wgsl";
import threefryPrelude from "../../../wgsl/lib/threefry.wgsl";
import ropeSource from "../../../wgsl/rope.wgsl";
import { ops } from "../../ops/index";
import { perElement } from "./plan";

const elementwise = [gridPrelude, mathPrelude, elementwiseSource];
export const elementwisePlans = [
  perElement(ops.unary.forward, elementwise, "N"),
  perElement(ops.unary.backward, elementwise, "N"),
  perElement(ops.binary.forward, elementwise, "N"),
  perElement(ops.binary.backward, elementwise, "N"),
  perElement(ops.accumulate.add, elementwise, "N"),
  perElement(ops.fill.set, elementwise, "N"),
  perElement(ops.dropout.apply, [gridPrelude, threefryPrelude, dropoutSource], "N"),
  perElement(ops.columns.place, [gridPrelude, columnsSource], "N", "C"),
  perElement(ops.columns.take, [gridPrelude, columnsSource], "N", "C"),
  perElement(ops.embedding.forward, [gridPrelude, embeddingSource], "N", "C"),
  perElement(ops.embedding.backward, [gridPrelude, embeddingSource], "U", "C"),
  perElement(ops.gatedActivation.forward, [gridPrelude, mathPrelude, gatedActivationSource], "N", "F"),
  perElement(ops.gatedActivation.backward, [gridPrelude, mathPrelude, gatedActivationSource], "N", "F"),
  perElement(ops.rope.rotate, [gridPrelude, ropeSource], "N", "heads", "R"),
];
