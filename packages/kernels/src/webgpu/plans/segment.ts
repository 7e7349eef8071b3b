/** Plans of the sums over segments and their transpose. */
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import reducePrelude from "../../../wgsl/lib/reduce.wgsl";
import segmentsPrelude from "../../../wgsl/lib/segments.wgsl";
import segmentSource from "../../../wgsl/segment.wgsl";
import { ops } from "../../ops/index";
import { contractProgram } from "../program";
import { elements, line, single } from "./plan";
import { reducing } from "./reducing";

const segment = [gridPrelude, reducePrelude, segmentsPrelude, segmentSource];
export const segmentPlans = [
  single(reducing(contractProgram(ops.segment.sum, segment, { constants: { WORKGROUP: 64 } })), ({ S }) => line(S!)),
  single(contractProgram(ops.segment.broadcast, segment), ({ N }) => elements(N!)),
];
