/** One GPT training step (forward, cross-entropy, backward, AdamW) in @jax-js/jax, jitted, on its wasm or its WebGPU backend. */
import "core-js/full/iterator/index.js";
import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np, random, tree, valueAndGrad } from "@jax-js/jax";

/** Linear weights are (in, out), which is what jax-js multiplies fastest. */
function initialise({ C, V, T, L }) {
  let key = random.key(0);
  const normal = (...shape) => {
    const [next, use] = random.split(key);
    key = next;
    return random.normal(use, shape).mul(0.02);
  };
  const norm = () => ({ w: np.ones([C]), b: np.zeros([C]) });
  return {
    wte: normal(V, C),
    wpe: normal(T, C),
    layers: Array.from({ length: L }, () => ({
      ln1: norm(),
      qkv: { w: normal(C, 3 * C), b: np.zeros([3 * C]) },
      out: { w: normal(C, C), b: np.zeros([C]) },
      ln2: norm(),
      up: { w: normal(C, 4 * C), b: np.zeros([4 * C]) },
      down: { w: normal(4 * C, C), b: np.zeros([C]) },
    })),
    lnf: norm(),
  };
}

const layerNorm = (x, { w, b }) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(w).add(b);
const linear = (x, { w, b }) => np.dot(x, w).add(b);

function loss(params, inputs, targets, { B, T, C, H, V }) {
  // (B, T, V) one-hot rows: the embedding gradient is then a matrix product
  let x = np.dot(nn.oneHot(inputs, V), params.wte.ref).add(params.wpe);
  for (const layer of params.layers) {
    const [residual, branch] = [x.ref, x];
    const qkv = linear(layerNorm(branch, layer.ln1), layer.qkv);
    const [q, k, v] = np.split(qkv, 3, -1).map((part) => part.reshape([B, T, H, C / H]));
    const attended = nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([B, T, C]);
    x = residual.add(linear(attended, layer.out));
    const [skip, mlp] = [x.ref, x];
    x = skip.add(linear(nn.gelu(linear(layerNorm(mlp, layer.ln2), layer.up), { approximate: true }), layer.down));
  }
  const logits = np.dot(layerNorm(x, params.lnf), np.transpose(params.wte));
  return np.sum(nn.logSoftmax(logits, -1).mul(nn.oneHot(targets, V))).mul(-1 / (B * T));
}

const [BETA1, BETA2, EPS, DECAY, LR] = [0.9, 0.95, 1e-8, 0.1, 1e-3];

/** Makes the model and returns a function that takes one step and resolves to the loss before it. */
export async function makeStep(shape, backend = "wasm") {
  await init(backend);
  defaultDevice(backend);
  let params = initialise(shape);
  const zerosLike = (p) => np.zeros(p.shape);
  let m = tree.map(zerosLike, tree.ref(params));
  let v = tree.map(zerosLike, tree.ref(params));
  const step = jit((p, mm, vv, inputs, targets, c1, c2) => {
    const [value, g] = valueAndGrad((q) => loss(q, inputs, targets, shape))(tree.ref(p));
    const m1 = tree.map((a, d) => a.mul(BETA1).add(d.mul(1 - BETA1)), mm, tree.ref(g));
    const v1 = tree.map((a, d) => a.mul(BETA2).add(np.square(d).mul(1 - BETA2)), vv, g);
    const p1 = tree.map(
      (w, a, b) =>
        w.mul(1 - LR * DECAY).sub(
          a
            .mul(c1.ref)
            .div(np.sqrt(b.mul(c2.ref)).add(EPS))
            .mul(LR),
        ),
      p,
      tree.ref(m1),
      tree.ref(v1),
    );
    return [value, p1, m1, v1];
  });
  let t = 0;
  return async (inputs, targets) => {
    t++;
    const ids = (data) => np.array(Int32Array.from(data), { shape: [shape.B, shape.T], dtype: np.int32 });
    const [value, p1, m1, v1] = step(
      params,
      m,
      v,
      ids(inputs),
      ids(targets),
      np.array(1 / (1 - BETA1 ** t)),
      np.array(1 / (1 - BETA2 ** t)),
    );
    [params, m, v] = [p1, m1, v1];
    await blockUntilReady([tree.ref(p1)]).then(tree.dispose);
    return (await value.data())[0];
  };
}
