/** One call of an entry point: checked, with addresses and scratch, as the phases that its plan cuts it into. */
import { bind } from "../bind";
import type { EntryPoint } from "../contract";
import type { DispatchArgs, TensorRef } from "../device";
import { DeviceError } from "../errors";
import type { MemoryLedger } from "../memory-ledger";
import type { Arena } from "./arena";
import { plans } from "./plans/index";
import type { PlanCall } from "./plans/plan";
import type { Phase } from "./pool";

/** What a call needs of its device. */
export interface CallMemory {
  readonly arena: Arena;
  readonly ledger: MemoryLedger;
  address(what: string, tensor: TensorRef): number;
  /** A view of u32 memory. */
  words(pointer: number, length: number): Uint32Array;
}

/** Hands the phases of a call to `run`, one after the other; scratch is given back behind the last. */
export function runCall(entry: EntryPoint, args: DispatchArgs, memory: CallMemory, run: (phase: Phase) => void): void {
  const plan = plans.get(entry.name);
  if (!plan) throw new DeviceError(`${entry.name}: the wasm device must have a plan for it, got none. Add one to src/wasm/plans/.`);
  const bound = bind(entry, args);
  const pointers = new Map<string, number>();
  entry.tensors.forEach((spec, i) => {
    const tensor = bound.tensors[i];
    pointers.set(spec.name, tensor === undefined ? 0 : memory.address(entry.name, tensor));
  });
  const scratch: [address: number, byteLength: number][] = [];
  const call: PlanCall = {
    entry,
    pointer: (tensor) => pointers.get(tensor) as number,
    value: (name) => bound.values[name] as number,
    scratch: (byteLength) => {
      const address = memory.arena.take(byteLength);
      memory.ledger.take("scratch", byteLength);
      scratch.push([address, byteLength]);
      return address;
    },
    words: (pointer, length) => memory.words(pointer, length),
  };
  try {
    for (const phase of plan(call)) run(phase);
  } finally {
    for (const [address, byteLength] of scratch) {
      memory.arena.free(address);
      memory.ledger.give("scratch", byteLength);
    }
  }
}
