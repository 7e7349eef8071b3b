/**
 * Decodes blocks of positions: one upload before, one readback after, and on the device a sampled token goes from the
 * sampler straight to the next position's embedding.
 */
import { Tape } from "../autograd/tape";
import { alignElements, type Tensor, windowOf } from "../tensor/tensor";
import type { BatchSize } from "./groups";
import type { Row } from "./row";
import { readLogits } from "./row-logits";
import { allowedOf, KEYS, keysOf, type SamplerRows, SETTINGS, sampleTokens, seenOf, settingsOf } from "./sampling";
import type { BatchSettings } from "./settings";
import { wordsOf } from "./token-mask";
import type { Trunks } from "./trunks";

export class BlockDecoder {
  readonly #session: Tape;
  readonly #settings: BatchSettings;
  readonly #trunks: Trunks;
  readonly #maxRows: number;
  /** Everything the host says about a block; see {@link layoutOf}. */
  readonly #uploaded: Tensor;
  /** Sampled tokens and their log-probabilities, (steps, stride) each. */
  readonly #tokens: Tensor;
  readonly #logps: Tensor;
  /** What the sampler knows of the rows: (R, 5), u32 (R, 3), and u32 (R, ⌈V / 32⌉) since a row wanted them. */
  readonly #sampler: { readonly settings: Tensor; readonly keys: Tensor; allowed: Tensor | undefined; seen: Tensor | undefined };
  #sampledRows: readonly Row[] = [];

  /** `session` owns the memory. */
  constructor(session: Tape, settings: BatchSettings, trunks: Trunks, { maxRows, maxTable }: BatchSize) {
    const steps = settings.stepsPerRead;
    this.#session = session;
    this.#settings = settings;
    this.#trunks = trunks;
    this.#maxRows = maxRows;
    this.#uploaded = session.alloc([layoutOf(maxRows, maxTable, steps).length], "u32");
    this.#tokens = session.alloc([steps * alignElements(maxRows)], "u32");
    this.#logps = session.alloc([steps * alignElements(maxRows)]);
    this.#sampler = {
      settings: session.alloc([maxRows, SETTINGS]),
      keys: session.alloc([maxRows, KEYS], "u32"),
      allowed: undefined,
      seen: undefined,
    };
  }

  /** Decodes as many positions of every row as all of them have to go, at most `stepsPerRead`, hands the rows their tokens, and returns how many. */
  async decode(rows: readonly Row[]): Promise<number> {
    const { decoder, stepsPerRead } = this.#settings;
    const { device } = decoder;
    const steps = rows.reduce((least, row) => Math.min(least, row.steps), stepsPerRead);
    const count = rows.length;
    const layout = this.#upload(rows, steps);
    const { stride } = layout;
    const window = (offset: number) => windowOf(this.#uploaded, offset, [count]);
    const tables = windowOf(this.#uploaded, layout.tables, [count, layout.table]);
    const sampler = this.#uploadSampler(rows);
    let input = window(layout.tokens);
    let seenLogits: ReadonlyMap<Row, Float32Array> = new Map();
    for (let step = 0; step < steps; step++) {
      const at = layout.steps + step * 2 * stride;
      const [positions, lengths] = [window(at), window(at + stride)];
      const tokens = windowOf(this.#tokens, step * stride, [count]);
      const logp = windowOf(this.#logps, step * stride, [count]);
      const tape = new Tape(device, { grad: false });
      try {
        const ids = { ids: input, sorted: undefined };
        const logits = this.#trunks.logits(tape, ({ decoder, cache }) =>
          decoder.hidden(tape, ids, positions, (layer, qkv, rotation) => cache.extend(tape, layer, qkv, rotation, tables, lengths), {
            isFused: true,
          }),
        ); // (R, V)
        // The sampled token's position is the number of positions before it.
        sampleTokens(tape, logits, { ...sampler, positions: lengths, tokens, logp });
        seenLogits = await readLogits(tape, logits, rows);
      } finally {
        tape.dispose();
      }
      input = tokens;
    }
    const used = [steps * stride];
    const [ids, logps] = await Promise.all([device.read(windowOf(this.#tokens, 0, used)), device.read(windowOf(this.#logps, 0, used))]);
    rows.forEach((row, r) => {
      for (let step = 0; step < steps; step++)
        row.push(ids[step * stride + r] as number, logps[step * stride + r] as number, seenLogits.get(row));
    });
    return steps;
  }

  #upload(rows: readonly Row[], steps: number): Layout {
    const widest = rows.reduce((most, row) => Math.max(most, row.table.length), 0);
    const layout = layoutOf(rows.length, widest, steps);
    const words = new Uint32Array(layout.length);
    rows.forEach((row, r) => {
      words[layout.tokens + r] = row.newestToken;
      words.set(row.table, layout.tables + r * layout.table);
      for (let step = 0; step < steps; step++) {
        const at = layout.steps + step * 2 * layout.stride + r;
        const position = row.position + step;
        words[at] = position + row.positionShift;
        words[at + layout.stride] = position + 1;
      }
    });
    this.#settings.decoder.device.write(windowOf(this.#uploaded, 0, [words.length]), words);
    return layout;
  }

  /** The sampler keeps the marks of seen tokens up to date on the device; the rest is uploaded when other rows are in the batch. */
  #uploadSampler(rows: readonly Row[]): Pick<SamplerRows, "settings" | "keys" | "allowed" | "seen"> {
    const { device, config } = this.#settings.decoder;
    const sampler = this.#sampler;
    const words = wordsOf(config.vocabSize);
    const isSeen = rows.some(({ seen }) => seen);
    if (isSeen) sampler.seen ??= this.#session.alloc([this.#maxRows, words], "u32");
    const allowed = allowedOf(rows, config.vocabSize);
    if (allowed) sampler.allowed ??= this.#session.alloc([this.#maxRows, words], "u32");
    const used = {
      settings: windowOf(sampler.settings, 0, [rows.length, SETTINGS]),
      keys: windowOf(sampler.keys, 0, [rows.length, KEYS]),
      allowed: allowed && sampler.allowed ? windowOf(sampler.allowed, 0, [rows.length, words]) : undefined,
      seen: isSeen && sampler.seen ? windowOf(sampler.seen, 0, [rows.length, words]) : undefined,
    };
    if (rows.length !== this.#sampledRows.length || rows.some((row, r) => row !== this.#sampledRows[r])) {
      device.write(used.settings, settingsOf(rows));
      device.write(used.keys, keysOf(rows));
      if (used.seen) device.write(used.seen, seenOf(rows) as Uint32Array);
      this.#sampledRows = [...rows];
    }
    // Every token changes what may come next.
    if (used.allowed) device.write(used.allowed, allowed as Uint32Array);
    return used;
  }
}

/** Where things lie in a block's upload, in elements; every part begins where a window may. */
interface Layout {
  /** From one array of a value per row to the next. */
  readonly stride: number;
  /** The newest token of each row, (R). */
  readonly tokens: number;
  /** For each step two arrays (R): position of the token fed in, and the row's length with it. */
  readonly steps: number;
  /** Block tables (R, table). */
  readonly tables: number;
  readonly table: number;
  readonly length: number;
}

function layoutOf(rows: number, table: number, steps: number): Layout {
  const stride = alignElements(rows);
  const tables = (1 + 2 * steps) * stride;
  return { stride, tokens: 0, steps: stride, tables, table, length: tables + rows * table };
}
