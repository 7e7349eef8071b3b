/**
 * The forward pass of a GPT in onnxruntime-web on its wasm backend, one for each line on standard input: what it can do of a training step. In a process of
 * its own: its threads' globals disturb other peers.
 *
 * usage: node gpt-ort.mjs threads '{"B":..,"T":..,"C":..,"H":..,"V":..,"L":..}'
 */
import { createInterface } from "node:readline";
import * as ort from "onnxruntime-web";
import { FLOAT, INT64, initializer, input, model, node, output } from "./onnx.mjs";

const [threads, shape] = [Number(process.argv[2]), JSON.parse(process.argv[3])];

/** Logits of (B, T) ids, (B T, V), with fused layer norms and attention written out: ONNX has no causal attention that every version knows. */
function gpt({ B, T, C, H, V, L }) {
  let seed = 1;
  const random = (length) =>
    Float32Array.from({ length }, () => {
      seed = (seed * 48271) % 2147483647;
      return (seed / 2147483647 - 0.5) * 0.07;
    });
  const constants = [];
  const nodes = [];
  const weight = (name, ...dims) => {
    constants.push(initializer(name, FLOAT, dims, random(dims.reduce((a, b) => a * b, 1))));
    return name;
  };
  const filled = (name, value, ...dims) => {
    constants.push(initializer(name, FLOAT, dims, new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(value)));
    return name;
  };
  const whole = (name, values) => {
    constants.push(initializer(name, INT64, [values.length], BigInt64Array.from(values, BigInt)));
    return name;
  };
  let count = 0;
  const op = (name, inputs, attributes = {}, outputs = 1) => {
    const made = Array.from({ length: outputs }, () => `t${count++}`);
    nodes.push(node(name, inputs, made, attributes));
    return outputs === 1 ? made[0] : made;
  };
  const D = C / H;
  const [rows, heads] = [whole("rows", [B * T, C]), whole("heads", [B, T, H, D])];
  const norm = (x, name) =>
    op("LayerNormalization", [x, filled(`${name}.w`, 1, C), filled(`${name}.b`, 0, C)], { axis: 1, epsilon: { float: 1e-5 } });
  const linear = (x, name, from, to) => op("Add", [op("MatMul", [x, weight(`${name}.w`, from, to)]), filled(`${name}.b`, 0, to)]);
  const number = (name, value) => filled(name, value);
  const [half, one, cubic, root, scale] = [
    number("half", 0.5),
    number("one", 1),
    number("cubic", 0.044715),
    number("root", Math.sqrt(2 / Math.PI)),
    number("scale", D ** -0.5),
  ];
  const gelu = (x) => {
    const cube = op("Mul", [op("Mul", [op("Mul", [x, x]), x]), cubic]);
    const tanh = op("Tanh", [op("Mul", [op("Add", [x, cube]), root])]);
    return op("Mul", [op("Mul", [x, half]), op("Add", [tanh, one])]);
  };
  constants.push(
    initializer(
      "future",
      FLOAT,
      [T, T],
      Float32Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? -1e9 : 0)),
    ),
  );
  const table = weight("wte", V, C);
  let x = op("Reshape", [op("Add", [op("Gather", [table, "ids"]), weight("wpe", T, C)]), rows]);
  for (let layer = 0; layer < L; layer++) {
    const at = (name) => `${layer}.${name}`;
    const split = op("Split", [linear(norm(x, at("ln1")), at("qkv"), C, 3 * C), whole(at("thirds"), [C, C, C])], { axis: 1 }, 3);
    const place = (part, perm) => op("Transpose", [op("Reshape", [part, heads])], { perm });
    const [q, k, v] = [place(split[0], [0, 2, 1, 3]), place(split[1], [0, 2, 3, 1]), place(split[2], [0, 2, 1, 3])];
    const scores = op("Add", [op("Mul", [op("MatMul", [q, k]), scale]), "future"]);
    const mixed = op("Transpose", [op("MatMul", [op("Softmax", [scores], { axis: 3 }), v])], { perm: [0, 2, 1, 3] });
    x = op("Add", [x, linear(op("Reshape", [mixed, rows]), at("out"), C, C)]);
    x = op("Add", [x, linear(gelu(linear(norm(x, at("ln2")), at("up"), C, 4 * C)), at("down"), 4 * C, C)]);
  }
  const logits = op("MatMul", [norm(x, "lnf"), op("Transpose", [table], { perm: [1, 0] })]);
  return model([...nodes, ...constants, input("ids", INT64, [B, T]), output(logits, FLOAT, [B * T, V])]);
}

try {
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(gpt(shape), { executionProviders: ["wasm"], logSeverityLevel: 3 });
  const { B, T, V } = shape;
  const ids = BigInt64Array.from({ length: B * T }, (_, i) => BigInt((i * 7919) % V));
  const run = () => session.run({ ids: new ort.Tensor("int64", ids, [B, T]) });
  await run();
  console.log("ready");
  for await (const _ of createInterface({ input: process.stdin })) {
    await run();
    console.log("done");
  }
} catch (problem) {
  console.log(`error: ${String(problem.message ?? problem).split("\n")[0]}`);
}
process.exit(0);
