/** Lookup by index: values, and gradients that add up over repetitions. */
import { expect, it } from "vitest";
import { mul } from "../src/autograd/elementwise";
import { gather } from "../src/autograd/gather";
import { Tape } from "../src/autograd/tape";
import { describeDevices } from "./devices";

describeDevices("gather", (device) => {
  it("picks values, and sums the gradient of every use", async () => {
    const tape = new Tape(device);
    const x = tape.constant(Float32Array.of(10, 20, 30, 40));
    const y = gather(tape, x, Uint32Array.of(2, 0, 2, 3, 2));
    expect(await device.read(y)).toEqual(Float32Array.of(30, 10, 30, 40, 30));
    // Σ w y²: dx[j] = 2 x[j] Σ w over the uses of j.
    const squares = mul(tape, y, y);
    tape.backward([[squares, tape.constant(Float32Array.of(1, 2, 4, 8, -16))]]);
    expect(await device.read(tape.gradOrZero(x))).toEqual(Float32Array.of(40, 0, -660, 640));
    tape.dispose();
  });

  it("adds to a gradient that has arrived", async () => {
    const tape = new Tape(device);
    const x = tape.constant(Float32Array.of(3, 5));
    const y = gather(tape, x, Uint32Array.of(1));
    const again = gather(tape, x, Uint32Array.of(1, 1));
    tape.backward([
      [x, tape.constant(Float32Array.of(100, 200))],
      [y, tape.constant(Float32Array.of(1))],
      [again, tape.constant(Float32Array.of(2, 4))],
    ]);
    expect(await device.read(tape.gradOrZero(x))).toEqual(Float32Array.of(100, 207));
    tape.dispose();
  });
});
