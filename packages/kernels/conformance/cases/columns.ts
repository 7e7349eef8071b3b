/** Conformance of placing and taking columns. */
import { columns } from "../../src/ops/columns";
import type { Case, Values } from "../case";

const sizes: Values[] = [
  { N: 1, C: 1, D: 1, first: 0 },
  { N: 3, C: 5, D: 7, first: 2 },
  { N: 65, C: 64, D: 257, first: 128 },
  { N: 5, C: 1000, D: 1003, first: 3 },
];

const copies = { rtol: 0, atol: 0, reason: "copies" };

export const columnsCases: Case[] = [
  { entry: columns.place, name: "", sizes, tolerance: copies },
  { entry: columns.take, name: "", sizes, tolerance: copies },
];
