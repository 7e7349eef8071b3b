/** One call of an entry point: checked, with addresses and scratch, as the phases that its plan cuts it into. */
import { type BoundCall, bind } from "../bind";
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
export function runCall(entry: EntryPoint, args: DispatchArgs, memory: CallMemory, run: (entry: EntryPoint, phase: Phase) => void): void {
  const plan = plans.get(entry.name);
  if (!plan) throw new DeviceError(`${entry.name}: the wasm device must have a plan for it, got none. Add one to src/wasm/plans/.`);
  const call = new Call(bind(entry, args), memory);
  try {
    for (const phase of plan(call)) run(entry, phase);
  } finally {
    call.end();
  }
}

class Call implements PlanCall {
  readonly entry: EntryPoint;
  readonly #values: BoundCall["values"];
  readonly #memory: CallMemory;
  /** In contract order. */
  readonly #pointers: readonly number[];
  readonly #scratch: [address: number, byteLength: number][] = [];

  constructor({ entry, tensors, values }: BoundCall, memory: CallMemory) {
    this.entry = entry;
    this.#values = values;
    this.#memory = memory;
    this.#pointers = tensors.map((tensor) => (tensor === undefined ? 0 : memory.address(entry.name, tensor)));
  }

  pointer(tensor: string): number {
    const { tensors } = this.entry;
    for (let i = 0; i < tensors.length; i++) if (tensors[i]?.name === tensor) return this.#pointers[i] as number;
    throw new DeviceError(`${this.entry.name}: a plan must ask for the contract's tensors, got \`${tensor}\`. Mend the plan.`);
  }

  value(name: string): number {
    return this.#values[name] as number;
  }

  scratch(byteLength: number): number {
    const address = this.#memory.arena.take(byteLength);
    this.#memory.ledger.take("scratch", byteLength);
    this.#scratch.push([address, byteLength]);
    return address;
  }

  words(pointer: number, length: number): Uint32Array {
    return this.#memory.words(pointer, length);
  }

  /** Gives the scratch back. */
  end(): void {
    for (const [address, byteLength] of this.#scratch) {
      this.#memory.arena.free(address);
      this.#memory.ledger.give("scratch", byteLength);
    }
  }
}
