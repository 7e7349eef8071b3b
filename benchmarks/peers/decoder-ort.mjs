/**
 * A Llama's decoder in ONNX Runtime, on its WebAssembly or its native build: the graph that its own exporters make (fused attention with
 * rotary positions over a key-value cache, fused norms), with the weights of a Hugging Face checkpoint.
 */
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { FLOAT, INT32, INT64, initializer, input, model, node, output } from "./onnx.mjs";

const MICROSOFT = "com.microsoft";

/** Tensors of a safetensors file in bf16, as f32. */
async function readCheckpoint(directory) {
  const file = await open(join(directory, "model.safetensors"));
  const prefix = Buffer.alloc(8);
  await file.read(prefix, 0, 8, 0);
  const start = 8 + Number(prefix.readBigUInt64LE());
  const json = Buffer.alloc(start - 8);
  await file.read(json, 0, json.length, 8);
  const header = JSON.parse(json.toString());
  return {
    close: () => file.close(),
    async tensor(name) {
      const { dtype, data_offsets: range } = header[name];
      if (dtype !== "BF16") throw new Error(`${name}: it must be BF16, got ${dtype}`);
      const halves = new Uint16Array((range[1] - range[0]) / 2);
      await file.read(new Uint8Array(halves.buffer), 0, halves.byteLength, start + range[0]);
      const words = new Uint32Array(halves.length);
      for (let i = 0; i < words.length; i++) words[i] = halves[i] << 16;
      return new Float32Array(words.buffer);
    },
  };
}

/** (out, in) matrices, one above the other, as one (in, sum of outs): what MatMul multiplies by. */
function transposed(matrices, columns) {
  const rows = matrices.reduce((sum, { length }) => sum + length / columns, 0);
  const result = new Float32Array(rows * columns);
  let row = 0;
  for (const matrix of matrices) {
    for (let at = 0; at < matrix.length; at += columns, row++) for (let c = 0; c < columns; c++) result[c * rows + row] = matrix[at + c];
  }
  return result;
}

async function decoderModel(directory) {
  const config = JSON.parse(await readFile(join(directory, "config.json"), "utf8"));
  const { hidden_size: C, num_hidden_layers: L, num_attention_heads: H, num_key_value_heads: K, intermediate_size: F } = config;
  const { vocab_size: V, rms_norm_eps: epsilon } = config;
  const theta = config.rope_parameters?.rope_theta ?? config.rope_theta;
  const D = config.head_dim ?? C / H;
  const positions = 512;
  const { tensor, close } = await readCheckpoint(directory);
  const angles = Float32Array.from(
    { length: (positions * D) / 2 },
    (_, i) => Math.floor(i / (D / 2)) * theta ** (-(i % (D / 2)) / (D / 2)),
  );
  const embedding = await tensor("model.embed_tokens.weight");
  const parts = [
    input("input_ids", INT64, ["batch", "length"]),
    input("last_position", INT32, ["batch"]),
    input("total_length", INT32, []),
    output("logits", FLOAT, ["batch", V]),
    initializer("embedding", FLOAT, [V, C], embedding),
    initializer("cos", FLOAT, [positions, D / 2], angles.map(Math.cos)),
    initializer("sin", FLOAT, [positions, D / 2], angles.map(Math.sin)),
    initializer("last", INT64, [], BigInt64Array.of(-1n)),
    initializer("halves", INT64, [2], BigInt64Array.of(BigInt(F), BigInt(F))),
    node("Gather", ["embedding", "input_ids"], ["x0"], { axis: 0 }),
  ];
  const norm = { epsilon: { float: epsilon } };
  let branch = "";
  for (let l = 0; l < L; l++) {
    const at = (name) => `${name}.${l}`;
    const weight = (name) => tensor(`model.layers.${l}.${name}.weight`);
    const matrix = async (name, columns, ...names) => {
      const matrices = await Promise.all(names.map(weight));
      const rows = matrices.reduce((sum, { length }) => sum + length / columns, 0);
      parts.push(initializer(at(name), FLOAT, [columns, rows], transposed(matrices, columns)));
    };
    await matrix("qkv", C, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");
    await matrix("out", H * D, "self_attn.o_proj");
    await matrix("gate_up", C, "mlp.gate_proj", "mlp.up_proj");
    await matrix("down", F, "mlp.down_proj");
    parts.push(initializer(at("norm1"), FLOAT, [C], await weight("input_layernorm")));
    parts.push(initializer(at("norm2"), FLOAT, [C], await weight("post_attention_layernorm")));
    for (const kind of ["key", "value"]) {
      parts.push(input(at(`past_${kind}`), FLOAT, ["batch", K, "past", D]), output(at(`present_${kind}`), FLOAT, ["batch", K, "total", D]));
    }
    parts.push(
      branch === ""
        ? node("SimplifiedLayerNormalization", ["x0", at("norm1")], [at("normed1")], { axis: -1, ...norm })
        : node("SkipSimplifiedLayerNormalization", [at("x"), branch, at("norm1")], [at("normed1"), "", "", at("x1")], norm, MICROSOFT),
      node("MatMul", [at("normed1"), at("qkv")], [at("projected")]),
      node(
        "GroupQueryAttention",
        [at("projected"), "", "", at("past_key"), at("past_value"), "last_position", "total_length", "cos", "sin"],
        [at("attended"), at("present_key"), at("present_value")],
        { num_heads: H, kv_num_heads: K, do_rotary: 1 },
        MICROSOFT,
      ),
      node("MatMul", [at("attended"), at("out")], [at("attention")]),
      node(
        "SkipSimplifiedLayerNormalization",
        [branch === "" ? "x0" : at("x1"), at("attention"), at("norm2")],
        [at("normed2"), "", "", `x.${l + 1}`],
        norm,
        MICROSOFT,
      ),
      node("MatMul", [at("normed2"), at("gate_up")], [at("hidden")]),
      node("Split", [at("hidden"), "halves"], [at("gate"), at("up")], { axis: -1 }),
      node("QuickGelu", [at("gate")], [at("silu")], { alpha: { float: 1 } }, MICROSOFT),
      node("Mul", [at("silu"), at("up")], [at("gated")]),
      node("MatMul", [at("gated"), at("down")], [at("mlp")]),
    );
    branch = at("mlp");
  }
  parts.push(
    initializer("norm", FLOAT, [C], await tensor("model.norm.weight")),
    node("SkipSimplifiedLayerNormalization", [`x.${L}`, branch, "norm"], ["normed"], norm, MICROSOFT),
    node("Gather", ["normed", "last"], ["final"], { axis: 1 }),
    node("Gemm", ["final", "embedding"], ["logits"], { transB: 1 }),
  );
  await close();
  return { bytes: model(parts), layers: L, kvHeads: K, headDim: D, vocabSize: V };
}

/**
 * Loads the checkpoint in `directory` on `build`, "web" or "node". `start` runs prompts (B rows of equal length) and resolves to the logits of
 * each row's last position, (B, V); `next` takes one token a row and does the same.
 */
export async function openDecoder(directory, build, threads) {
  const ort = await import(build === "web" ? "onnxruntime-web" : "onnxruntime-node");
  if (build === "web") ort.env.wasm.numThreads = threads;
  const { bytes, layers, kvHeads, headDim } = await decoderModel(directory);
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [build === "web" ? "wasm" : "cpu"],
    intraOpNumThreads: threads,
    graphOptimizationLevel: "all",
  });
  let cache = {};
  let total = 0;
  const run = async (tokens, batch) => {
    const length = tokens.length / batch;
    total += length;
    const results = await session.run({
      input_ids: new ort.Tensor("int64", BigInt64Array.from(tokens, BigInt), [batch, length]),
      last_position: new ort.Tensor("int32", new Int32Array(batch).fill(total - 1), [batch]),
      total_length: new ort.Tensor("int32", Int32Array.of(total), []),
      ...cache,
    });
    cache = {};
    for (let l = 0; l < layers; l++) {
      for (const kind of ["key", "value"]) cache[`past_${kind}.${l}`] = results[`present_${kind}.${l}`];
    }
    return results.logits.data;
  };
  return {
    start(tokens, batch) {
      total = 0;
      const empty = () => new ort.Tensor("float32", new Float32Array(0), [batch, kvHeads, 0, headDim]);
      cache = {};
      for (let l = 0; l < layers; l++) for (const kind of ["key", "value"]) cache[`past_${kind}.${l}`] = empty();
      return run(tokens, batch);
    },
    next: (tokens) => run(tokens, tokens.length),
    close: () => session.release(),
  };
}
