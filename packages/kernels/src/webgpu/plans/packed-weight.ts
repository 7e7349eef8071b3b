/** Plans of products with weights in low precision: those of matmul, with the weights decoded as a tile is read. */
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import packedRight from "../../../wgsl/lib/operand-b-packed.wgsl";
import packedWeightSource from "../../../wgsl/packed-weight.wgsl";
import { ops } from "../../ops/index";
import { WEIGHT_FORMATS, type WeightFormat } from "../../weight-formats";
import { contractProgram, type Program } from "../program";
import { forwardPrograms, inputPrograms, type LinearPrograms, multiplyForward, multiplyInput, packedPrograms } from "./matmul";
import { divide, elements, type Plan, type Values } from "./plan";

interface FormatPrograms {
  readonly linear: LinearPrograms;
  readonly rows: Program;
}

const rowsProgram = ({ id, name }: WeightFormat): Program =>
  contractProgram(ops.packedWeight.rows, [gridPrelude, packedRight, packedWeightSource], { constants: { FORMAT: id }, variant: name });

/** Programs by the format's id, made for the formats that are used. */
const made = new Map<number, FormatPrograms>();

export function formatPrograms(format: WeightFormat): FormatPrograms {
  let programs = made.get(format.id);
  if (!programs) {
    programs = { linear: packedPrograms(format), rows: rowsProgram(format) };
    made.set(format.id, programs);
  }
  return programs;
}

const programsOf = (values: Values): FormatPrograms =>
  formatPrograms(Object.values(WEIGHT_FORMATS).find(({ id }) => id === values.format) as WeightFormat);

/** Programs that depend on the format: those of the one that is asked for, or none. */
const known = (choose: (programs: FormatPrograms, isSoftware: boolean, sizes: Values) => readonly Program[]): Plan["programs"] => {
  return ({ isSoftware }, sizes) => (sizes.format === undefined ? [] : choose(programsOf(sizes), isSoftware, sizes));
};

export const packedWeightPlans: Plan[] = [
  {
    entry: ops.packedWeight.forward,
    programs: known(({ linear }, isSoftware, sizes) => forwardPrograms(linear, isSoftware, sizes)),
    run: (context, tensors, values) => multiplyForward(context, programsOf(values).linear, tensors, values),
  },
  {
    entry: ops.packedWeight.backwardInput,
    programs: known(({ linear }, isSoftware) => inputPrograms(linear, isSoftware)),
    run: (context, tensors, values) => multiplyInput(context, programsOf(values).linear, tensors, values),
  },
  {
    entry: ops.packedWeight.rows,
    programs: known(({ rows }) => [rows]),
    run: (context, tensors, values) => context.run(programsOf(values).rows, tensors, values, elements(values.N! * divide(values.K!, 4))),
  },
];
