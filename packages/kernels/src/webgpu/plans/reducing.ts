/** Programs with sums and maxima over a workgroup, which come in two forms. */
import reducePrelude from "../../../wgsl/lib/reduce.wgsl";
import subgroupsPrelude from "../../../wgsl/lib/reduce-subgroups.wgsl";
import { orWithSubgroups, type Program } from "../program";

/** A program with lib/reduce.wgsl among its sources, and the one with the subgroups' form of it. */
export const reducing = (program: Program): Program =>
  orWithSubgroups("reductions", program, [subgroupsPrelude, ...program.sources.filter((source) => source !== reducePrelude)]);
