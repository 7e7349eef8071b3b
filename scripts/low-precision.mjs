/**
 * What low precision costs and saves: `node scripts/low-precision.mjs MODEL TEXT [bytes]` prints, for each dtype, memory and perplexity of a model on
 * the first bytes of a text; without arguments, the time of packed products over that of f32 ones, at SmolLM2-135M's widths. After `npm run build`.
 */
import { readFileSync } from "node:fs";
import { WEIGHT_FORMATS } from "@trimtab/kernels";
import { cases, measure } from "@trimtab/kernels/conformance";
import { batchLogprobs, collate, createDevice, loadModel, Tape } from "@trimtab/node";

const DTYPES = ["float32", "float16", "bfloat16", "int8", "nf4", "int4"];
const [model, text, bytes = "50000"] = process.argv.slice(2);
if (model === undefined) await products();
else await quality();

/** Perplexity over rows of the model's whole context, each beginning anew. */
async function quality() {
  const sample = readFileSync(text).subarray(0, Number(bytes)).toString("utf8");
  console.log("| dtype | weights on the device | perplexity | change |\n| --- | ---: | ---: | ---: |");
  let first;
  for (const dtype of DTYPES) {
    const device = await createDevice("wasm");
    const before = device.counters.liveBytes;
    const { decoder, tokenizer } = await loadModel(model, { device, dtype });
    const { count } = decoder.parameters;
    const held = [...decoder.parameters.shards, ...decoder.parameters.packedShards].reduce((sum, { shape }) => sum + 4 * shape[0], 0);
    if (held > device.counters.liveBytes - before) throw new Error("the device holds less than the weights");
    const ids = Uint32Array.from(tokenizer.encode(sample));
    const width = decoder.config.maxPositions;
    let [sum, targets] = [0, 0];
    for (let begin = 0; begin + 1 < ids.length; begin += 4 * width) {
      const rows = [];
      for (let at = begin; at < begin + 4 * width && at + 1 < ids.length; at += width) {
        const tokens = ids.subarray(at, at + width);
        rows.push({ tokens, mask: new Uint8Array(tokens.length).fill(1) });
      }
      const tape = new Tape(device, { grad: false });
      const logps = await device.read(batchLogprobs(tape, decoder, collate(rows, decoder.config.vocabSize)).logp);
      tape.dispose();
      sum += logps.reduce((total, logp) => total + logp, 0);
      targets += logps.length;
    }
    const perplexity = Math.exp(-sum / targets);
    first ??= perplexity;
    const change = `${(100 * (perplexity / first - 1)).toFixed(2)} %`;
    console.log(
      `| ${dtype} | ${(held / 1e6).toFixed(2)} MB (${((8 * held) / count).toFixed(1)} bits each) | ${perplexity.toFixed(3)} | ${change} |`,
    );
    await device.destroy();
  }
}

/** Of this process alone: other work on the machine does not count. */
function processorMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Packed over f32, forward and input gradient, on one thread of wasm; the median of pairs measured one after the other. */
async function products() {
  const device = await createDevice("wasm", { threads: 1 });
  const named = (entry, name) => cases.find((item) => item.entry.name === entry && item.name === name);
  console.log(
    `${device.info.name}; time over f32's\n\n| rows | pass | ${Object.keys(WEIGHT_FORMATS).join(" | ")} |\n| ---: | --- |${" ---: |".repeat(5)}`,
  );
  for (const [entry, pass] of [
    ["forward", "y"],
    ["backward_input", "dx"],
  ]) {
    for (const M of pass === "y" ? [1, 8, 32, 128, 1024] : [128, 1024]) {
      const sizes = { M, K: 576, N: 1536 };
      const ratios = [];
      for (const [name, format] of Object.entries(WEIGHT_FORMATS)) {
        const W = (Math.ceil(576 / 16) * 16 * format.bits) / 32 + (format.blockLength ? 576 / format.blockLength : 0);
        const pairs = [];
        for (let i = 0; i < 5; i++) {
          const options = { now: processorMs, absent: pass === "y" ? ["bias", "addend"] : [], samples: 5 };
          const whole = await measure(device, named(`matmul_${entry}`, ""), sizes, options);
          const packed = await measure(device, named(`packed_weight_${entry}`, name), { ...sizes, W, format: format.id }, options);
          pairs.push(packed.bestMs / whole.bestMs);
        }
        ratios.push(pairs.sort((a, b) => a - b)[2].toFixed(2));
      }
      console.log(`| ${M} | ${pass} | ${ratios.join(" | ")} |`);
    }
  }
  await device.destroy();
}
