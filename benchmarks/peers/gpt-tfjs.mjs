/**
 * One GPT training step in @tensorflow/tfjs on its wasm or its WebGPU backend. tfjs has no AdamW; its Adam does the same arithmetic less the
 * decay. Embeddings are one-hot products: the backend has no gradient for gather.
 */
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import "@tensorflow/tfjs-backend-webgpu";

/** Makes the model and returns a function that takes one step and resolves to the loss before it. */
export async function makeStep({ B, T, C, H, V, L }, backend = "wasm") {
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs: the ${backend} backend must start, got false.`);
  await tf.ready();
  const normal = (...shape) => tf.variable(tf.randomNormal(shape, 0, 0.02, "float32", 1));
  const full = (value, ...shape) => tf.variable(tf.fill(shape, value));
  const norm = () => ({ w: full(1, C), b: full(0, C) });
  const dense = (input, output) => ({ w: normal(input, output), b: full(0, output) });
  const wte = normal(V, C);
  const wpe = normal(T, C);
  const layers = Array.from({ length: L }, () => ({
    ln1: norm(),
    qkv: dense(C, 3 * C),
    out: dense(C, C),
    ln2: norm(),
    up: dense(C, 4 * C),
    down: dense(4 * C, C),
  }));
  const lnf = norm();
  const optimizer = tf.train.adam(1e-3, 0.9, 0.95, 1e-8);
  const future = tf.tidy(() => tf.sub(1, tf.linalg.bandPart(tf.ones([T, T]), -1, 0)).mul(-1e9));

  const layerNorm = (x, { w, b }) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return x.sub(mean).div(variance.add(1e-5).sqrt()).mul(w).add(b);
  };
  const linear = (x, { w, b }) => tf.matMul(x, w).add(b);
  const gelu = (x) =>
    x.mul(0.5).mul(
      x
        .add(x.square().mul(x).mul(0.044715))
        .mul(Math.sqrt(2 / Math.PI))
        .tanh()
        .add(1),
    );
  const heads = (x) => x.reshape([B, T, H, C / H]).transpose([0, 2, 1, 3]);

  const forward = (inputs, targets) => {
    let x = tf
      .matMul(tf.oneHot(inputs, V).toFloat(), wte)
      .reshape([B, T, C])
      .add(wpe)
      .reshape([B * T, C]);
    for (const layer of layers) {
      const [q, k, v] = tf.split(linear(layerNorm(x, layer.ln1), layer.qkv), 3, -1).map(heads);
      const scores = tf
        .matMul(q, k, false, true)
        .mul(1 / Math.sqrt(C / H))
        .add(future);
      const attended = tf
        .matMul(tf.softmax(scores), v)
        .transpose([0, 2, 1, 3])
        .reshape([B * T, C]);
      x = x.add(linear(attended, layer.out));
      x = x.add(linear(gelu(linear(layerNorm(x, layer.ln2), layer.up)), layer.down));
    }
    const logits = tf.matMul(layerNorm(x, lnf), wte, false, true);
    return tf.losses.softmaxCrossEntropy(tf.oneHot(targets, V), logits);
  };

  return async (inputs, targets) => {
    const ids = (data) => tf.tensor1d(Int32Array.from(data), "int32");
    const value = tf.tidy(() => optimizer.minimize(() => forward(ids(inputs), ids(targets)), true));
    const [loss] = await value.data();
    value.dispose();
    return loss;
  };
}
