/** The tape: gradients of whole graphs against central differences, lifetimes, recomputation. */
import { elementCount } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, it } from "vitest";
import { add, affine, binary, mul, sub, unary } from "../src/autograd/elementwise";
import { gatherRows, rowIndex } from "../src/autograd/gather";
import { segmentBroadcast, segmentSum, sum } from "../src/autograd/segment";
import { Tape } from "../src/autograd/tape";
import { tokenLogprob } from "../src/autograd/token-logprob";
import { collate } from "../src/data/batch";
import type { DecoderConfig } from "../src/models/config";
import { Decoder } from "../src/models/decoder";
import { batchLogprobs } from "../src/models/logprobs";
import { type Parameter, ParameterSet } from "../src/nn/parameters";
import type { Tensor } from "../src/tensor/tensor";
import { describeDevices } from "./devices";

const device = createReferenceDevice();

/** d loss / d values of each parameter by central differences in f64, against what `backward` leaves in the gradients. */
function checkGradients(parameters: ParameterSet, loss: (tape: Tape) => Tensor, every = 1): void {
  const value = () => {
    const tape = new Tape(device, { grad: false });
    const result = device.readF64(loss(tape))[0] as number;
    tape.dispose();
    return result;
  };
  parameters.zeroGrads();
  const tape = new Tape(device);
  const root = loss(tape);
  tape.backward([[root, tape.constant(Float32Array.of(1))]]);
  tape.dispose();
  for (const p of parameters.all) {
    const gradient = device.readF64(p.grad as Tensor);
    const values = device.readF64(p.value);
    const scale = Math.sqrt(gradient.reduce((total, g) => total + g * g, 0) / gradient.length);
    for (let i = 0; i < values.length; i += every) {
      const h = 1e-5;
      const at = (shift: number) => {
        const moved = values.slice();
        moved[i] = (values[i] as number) + shift;
        device.writeF64(p.value, moved);
        return value();
      };
      const numeric = (at(h) - at(-h)) / (2 * h);
      device.writeF64(p.value, values);
      const error = Math.abs((gradient[i] as number) - numeric);
      expect(error, `${p.name}[${i}]: ${gradient[i]} against ${numeric}`).toBeLessThan(1e-6 * (scale + 1e-2));
    }
  }
}

/** Distinct, seedless values of about unit size. */
function spread(parameters: ParameterSet): void {
  parameters.all.forEach((p, k) => {
    const centre = "constant" in p.init ? p.init.constant : 0;
    device.writeF64(
      p.value,
      Float64Array.from({ length: elementCount(p.shape) }, (_, i) => centre + 0.4 * Math.sin(1.7 * i + 2.3 * k + 1)),
    );
  });
}

const gatedConfig: DecoderConfig = {
  modelType: "qwen3",
  vocabSize: 11,
  hiddenSize: 8,
  intermediateSize: 6,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  maxPositions: 16,
  norm: { kind: "rms", eps: 1e-5 },
  positions: { kind: "rope", theta: 100, scaling: { type: "default" } },
  mlp: { kind: "gated", gate: "silu" },
  bias: { qkv: true, out: true, mlp: true },
  headNorm: "head",
  tied: true,
  head: "lm",
  initializerRange: 0.02,
  bosTokenId: undefined,
  eosTokenIds: [],
  padTokenId: undefined,
};

const plainConfig: DecoderConfig = {
  ...gatedConfig,
  modelType: "gpt2",
  kvHeads: 4,
  headDim: 2,
  norm: { kind: "layer", eps: 1e-5 },
  positions: { kind: "learned" },
  mlp: { kind: "plain", activation: "gelu_tanh" },
  headNorm: "none",
  tied: false,
  head: "lm",
};

const sequence = (...tokens: number[]) => ({
  tokens: Uint32Array.from(tokens),
  mask: Uint8Array.from(tokens, (_, i) => (i % 4 === 3 ? 0 : 1)),
});
const batch = collate([sequence(1, 2, 3, 4, 1, 10), sequence(5, 5), sequence(7, 0, 9, 2, 8)], 11);

describe("gradients against central differences", () => {
  it.each([
    ["rope, grouped heads, head norm, gated MLP, tied head", gatedConfig],
    ["learned positions, layer norm, plain MLP, own head", plainConfig],
  ])("a whole decoder: %s", (_, config) => {
    const decoder = new Decoder(device, config);
    spread(decoder.parameters);
    // logp, entropy and lse each with its own weights, reduced by sequence and then nonlinearly.
    checkGradients(
      decoder.parameters,
      (tape) => {
        const { logp, entropy, lse } = batchLogprobs(tape, decoder, batch, 1.3);
        const mixed = add(tape, logp, add(tape, affine(tape, entropy, 0.3), affine(tape, mul(tape, lse, lse), 0.1)));
        return sum(tape, unary(tape, "tanh", affine(tape, segmentSum(tape, mixed, tape.constant(batch.targetOffsets)), 0.2)));
      },
      3,
    );
    decoder.dispose();
  });

  it("fan-out, equal operands, and a tensor used across segments", () => {
    const parameters = new ParameterSet(device, [
      { name: "table", shape: [5, 3], init: { std: 1 } },
      { name: "head", shape: [4, 3], init: { std: 1 } },
    ]);
    spread(parameters);
    const [table, head] = [parameters.get("table"), parameters.get("head")];
    checkGradients(parameters, (tape) => {
      const index = rowIndex(tape, Uint32Array.of(4, 0, 4, 2));
      const rows = embeddingOf(tape, table, index);
      const again = gatherRows(tape, rows, rowIndex(tape, Uint32Array.of(3, 1, 1, 0)));
      const { logp } = tokenLogprob(tape, again, head, tape.constant(Uint32Array.of(0, 3, 1, 1)));
      const offsets = tape.constant(Uint32Array.of(0, 1, 4));
      const means = segmentBroadcast(tape, segmentSum(tape, logp, offsets), offsets, 4);
      const ratio = unary(tape, "exp", sub(tape, logp, affine(tape, means, 0.5)));
      const squared = mul(tape, ratio, ratio);
      return sum(tape, binary(tape, "min", add(tape, squared, ratio), affine(tape, ratio, 0, 1.5)));
    });
    parameters.dispose();
  });

  it("sees an error of one part in a thousand", () => {
    const parameters = new ParameterSet(device, [{ name: "w", shape: [4, 4], init: { std: 1 } }]);
    spread(parameters);
    const wrong = () =>
      checkGradients(parameters, (tape) => {
        const w = parameters.get("w");
        const y = tape.alloc([4]);
        const row = embeddingOf(tape, w, rowIndex(tape, Uint32Array.of(0)));
        device.writeF64(y, device.readF64(row));
        tape.record([y], () =>
          tape.addGrad(row, (d) =>
            device.writeF64(
              d,
              device.readF64(tape.grad(y) as Tensor).map((g) => 1.001 * g),
            ),
          ),
        );
        return sum(tape, mul(tape, y, y));
      });
    expect(wrong).toThrow(/w\[0\]/);
    parameters.dispose();
  });
});

function embeddingOf(tape: Tape, table: Parameter, index: ReturnType<typeof rowIndex>): Tensor {
  // Through gatherRows on a copy, so that the table's own gradient comes by a hand-written node.
  const copy = tape.alloc(table.shape);
  tape.device.copy(table.value, copy);
  tape.record([copy], () => {
    const arrived = device.readF64(tape.grad(copy) as Tensor);
    const before = device.readF64(table.grad as Tensor);
    device.writeF64(
      table.grad as Tensor,
      before.map((g, i) => g + (arrived[i] as number)),
    );
  });
  return gatherRows(tape, copy, index);
}

describeDevices("lifetimes", (on) => {
  const lossOf = (decoder: Decoder, tape: Tape) => sum(tape, batchLogprobs(tape, decoder, batch).logp);

  it.each([false, true])("nothing is left after backward and dispose (checkpoint %s)", async (checkpoint) => {
    const decoder = new Decoder(on, gatedConfig);
    decoder.parameters.initialise(1);
    decoder.parameters.zeroGrads();
    const before = on.counters.liveBytes;
    const tape = new Tape(on, { checkpoint });
    const loss = lossOf(decoder, tape);
    tape.backward([[loss, tape.constant(Float32Array.of(1))]]);
    // What backward leaves are the tape's constants.
    const constants = on.counters.liveBytes - before;
    expect(constants).toBeGreaterThan(0);
    expect(constants).toBeLessThan(2000);
    tape.dispose();
    expect(on.counters.liveBytes).toBe(before);
    await on.sync();
    decoder.dispose();
  });

  it("nothing is left of a tape that never went backward", () => {
    const decoder = new Decoder(on, gatedConfig);
    decoder.parameters.initialise(1);
    const before = on.counters.liveBytes;
    const tape = new Tape(on);
    lossOf(decoder, tape);
    expect(on.counters.liveBytes).toBeGreaterThan(before);
    tape.dispose();
    expect(on.counters.liveBytes).toBe(before);
    decoder.dispose();
  });

  it("a block that is not recorded keeps its result only", () => {
    const tape = new Tape(on, { grad: false });
    const x = tape.constant(Float32Array.of(1, 2, 3));
    const before = on.counters.liveBytes;
    const y = tape.block(x, (input) => mul(tape, affine(tape, input, 2), unary(tape, "exp", input)));
    expect(on.counters.liveBytes - before).toBe(y.buffer.byteLength);
    tape.dispose();
  });

  it("a block that fails frees what it had made, and the tape goes on recording", async () => {
    const start = on.counters.liveBytes;
    const tape = new Tape(on, { checkpoint: true });
    const x = tape.constant(Float32Array.of(1, 2, 3));
    const before = on.counters.liveBytes;
    const failing = (input: Tensor) => {
      affine(tape, input, 2);
      throw new Error("planned");
    };
    expect(() => tape.block(x, failing)).toThrow("planned");
    expect(on.counters.liveBytes).toBe(before);
    expect(tape.recording).toBe(true);
    tape.dispose();
    expect(on.counters.liveBytes).toBe(start);
  });

  it("recomputed blocks give the same bits", async () => {
    const decoder = new Decoder(on, plainConfig);
    decoder.parameters.initialise(3);
    const gradients = async (checkpoint: boolean) => {
      decoder.parameters.zeroGrads();
      const tape = new Tape(on, { checkpoint });
      const loss = lossOf(decoder, tape);
      tape.backward([[loss, tape.constant(Float32Array.of(1))]]);
      tape.dispose();
      return Promise.all(decoder.parameters.grads().map((g) => on.read(g)));
    };
    expect(await gradients(true)).toEqual(await gradients(false));
    decoder.dispose();
  });
});
