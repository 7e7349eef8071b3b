/** Parameters as one vector on every device: its arithmetic, its windows on the model, gradients of chosen parameters only. */
import { expect, it } from "vitest";
import { Tape } from "../src/autograd/tape";
import { linear } from "../src/nn/linear";
import { ParameterSet } from "../src/nn/parameters";
import { type FlatVector, ParameterSpace } from "../src/optim/flat-vector";
import { describeDevices } from "./devices";

/** Two matrices with gaps behind them, a long one, and two vectors. */
const specs = [
  { name: "a", shape: [3, 5], init: { std: 1 } },
  { name: "b", shape: [40, 41], init: { std: 1 } },
  { name: "c", shape: [2, 3], init: { std: 1 } },
  { name: "d", shape: [7], init: { std: 1 } },
  { name: "e", shape: [70], init: { std: 1 } },
];

describeDevices("ParameterSpace", (device) => {
  const make = (names?: string[]) => {
    const set = new ParameterSet(device, specs);
    set.initialise(4);
    const space = new ParameterSpace(set, names && ((name) => names.includes(name)));
    const dispose = () => {
      space.dispose();
      set.dispose();
    };
    return { set, space, dispose };
  };
  const read = async (x: FlatVector) => Promise.all(x.map(async (part) => [...((await device.read(part)) as Float32Array)]));
  const valuesOf = async (set: ParameterSet, name: string) => (await device.read(set.get(name).value)) as Float32Array;

  it("is all parameters as one stretch, and dot, scale and addScaled are what they say", async () => {
    const { set, space, dispose } = make();
    const all = (await Promise.all(specs.map(({ name }) => valuesOf(set, name)))).flatMap((values) => [...values]);
    const square = all.reduce((sum, value) => sum + value * value, 0);
    expect(space.values).toHaveLength(1);
    expect((await space.dot(space.values, space.values)) / square).toBeCloseTo(1, 5);
    const y = space.zeros();
    space.copy(space.values, y);
    expect(await read(y)).toEqual(await read(space.values));
    space.scale(y, -3);
    space.addScaled(y, 0.5, space.values);
    expect((await space.dot(y, space.values)) / square).toBeCloseTo(-2.5, 5);
    space.clear(y);
    expect(await space.dot(y, y)).toBe(0);
    space.free(y);
    dispose();
  });

  it("of chosen parameters: neighbours are joined, and writing to it moves only them", async () => {
    const { set, space, dispose } = make(["a", "b", "d"]);
    expect(space.parameters.map(({ name }) => name)).toEqual(["a", "b", "d"]);
    expect(space.values.map(({ shape }) => shape[0])).toEqual([64 + 1664, 64]);
    const before = await Promise.all(specs.map(({ name }) => valuesOf(set, name)));
    const saved = space.zeros();
    space.copy(space.values, saved);
    space.addScaled(space.values, 1, saved);
    for (const [i, { name }] of specs.entries()) {
      const factor = ["a", "b", "d"].includes(name) ? 2 : 1;
      expect([...(await valuesOf(set, name))]).toEqual([...(before[i] as Float32Array)].map((value) => factor * value));
    }
    space.copy(saved, space.values);
    for (const [i, { name }] of specs.entries()) expect(await valuesOf(set, name)).toEqual(before[i]);
    space.free(saved);
    dispose();
  });

  it("gradients arrive at the chosen parameters only, and old gradients come back", async () => {
    const { set, space } = make(["c"]);
    const tape = new Tape(device);
    const x = tape.constant(Float32Array.of(1, 2, 3), [1, 3]);
    const hidden = linear(tape, x, set.get("c")); // (1, 2)
    tape.backward([[hidden, tape.constant(Float32Array.of(1, 10), [1, 2])]]);
    tape.dispose();
    expect((await read(space.grads))[0]?.slice(0, 8)).toEqual([1, 2, 3, 10, 20, 30, 0, 0]);
    expect(set.get("a").grad).toBeUndefined();
    space.dispose();
    expect(set.get("c").grad).toBeUndefined();

    set.grads();
    const grad = set.get("c").grad;
    const again = new ParameterSpace(set, (name) => name === "a");
    expect(set.get("c").grad).toBeUndefined();
    again.dispose();
    expect(set.get("c").grad).toBe(grad);
    set.dispose();
  });

  it("frees what it allocated", () => {
    const set = new ParameterSet(device, specs);
    const before = device.counters.liveBytes;
    new ParameterSpace(set, (name) => name !== "b").dispose();
    expect(device.counters.liveBytes).toBe(before);
    set.dispose();
  });
});
