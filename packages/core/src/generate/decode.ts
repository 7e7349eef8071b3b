/**
 * Decodes blocks of positions: one upload before, one readback after, and on the device a sampled token goes from the
 * sampler straight to the next position's embedding.
 */
import { Tape } from "../autograd/tape";
import { alignElements, type Tensor, windowOf } from "../tensor/tensor";
import type { Plan } from "./groups";
import type { Row } from "./row";
import { sampleTokens, seenWords } from "./sampling";
import type { Settings } from "./settings";
import type { Trunks } from "./trunks";

export class BlockDecoder {
  readonly #settings: Settings;
  readonly #trunks: Trunks;
  /** Everything the host says about a block; see {@link layoutOf}. */
  readonly #uploaded: Tensor;
  /** Sampled tokens and their log-probabilities, (steps, stride) each. */
  readonly #tokens: Tensor;
  readonly #logps: Tensor;
  /** u32 (R, ⌈V / 32⌉); only with a repetition penalty. */
  readonly #seen: Tensor | undefined;
  #seenRows: readonly Row[] = [];

  /** `session` owns the memory. */
  constructor(session: Tape, settings: Settings, trunks: Trunks, plan: Plan) {
    const steps = settings.stepsPerRead;
    const words = Math.ceil(settings.decoder.config.vocabSize / 32);
    this.#settings = settings;
    this.#trunks = trunks;
    this.#uploaded = session.alloc([layoutOf(plan.maxRows, plan.maxTable, steps).length], "u32");
    this.#tokens = session.alloc([steps * alignElements(plan.maxRows)], "u32");
    this.#logps = session.alloc([steps * alignElements(plan.maxRows)]);
    this.#seen = settings.repetitionPenalty === 1 ? undefined : session.alloc([plan.maxRows, words], "u32");
  }

  /** Decodes `steps` positions of every row, none of which may have fewer tokens to go, and hands the rows their tokens. */
  async decode(rows: readonly Row[], steps: number): Promise<void> {
    const { device } = this.#settings.decoder;
    const count = rows.length;
    const layout = this.#upload(rows, steps);
    const { stride } = layout;
    const window = (offset: number) => windowOf(this.#uploaded, offset, [count]);
    const streams = window(layout.streams);
    const tables = windowOf(this.#uploaded, layout.tables, [count, layout.table]);
    const seen = this.#uploadSeen(rows);
    let input = window(layout.tokens);
    for (let step = 0; step < steps; step++) {
      const at = layout.steps + step * 3 * stride;
      const [positions, slots, lengths] = [window(at), window(at + stride), window(at + 2 * stride)];
      const tokens = windowOf(this.#tokens, step * stride, [count]);
      const logp = windowOf(this.#logps, step * stride, [count]);
      const tape = new Tape(device, { grad: false });
      try {
        const ids = { ids: input, sorted: undefined };
        const logits = this.#trunks.logits(tape, ({ decoder, cache }) =>
          decoder.hidden(tape, ids, positions, (layer, qkv) => {
            cache.write(tape, layer, qkv, slots);
            return cache.attend(tape, layer, qkv, tables, lengths);
          }),
        ); // (R, V)
        // The sampled token's position is the number of positions before it.
        sampleTokens(tape, this.#settings, logits, { streams, positions: lengths, seen, tokens, logp });
      } finally {
        tape.dispose();
      }
      input = tokens;
    }
    const used = [steps * stride];
    const [ids, logps] = await Promise.all([device.read(windowOf(this.#tokens, 0, used)), device.read(windowOf(this.#logps, 0, used))]);
    rows.forEach((row, r) => {
      for (let step = 0; step < steps; step++) row.push(ids[step * stride + r] as number, logps[step * stride + r] as number);
    });
  }

  #upload(rows: readonly Row[], steps: number): Layout {
    const widest = rows.reduce((most, row) => Math.max(most, row.table.length), 0);
    const layout = layoutOf(rows.length, widest, steps);
    const words = new Uint32Array(layout.length);
    rows.forEach((row, r) => {
      words[layout.tokens + r] = row.newestToken;
      words[layout.streams + r] = row.stream;
      words.set(row.table, layout.tables + r * layout.table);
      for (let step = 0; step < steps; step++) {
        const at = layout.steps + step * 3 * layout.stride + r;
        const position = row.position + step;
        words[at] = position + row.positionShift;
        words[at + layout.stride] = this.#trunks.policy.cache.slot(row.table, position);
        words[at + 2 * layout.stride] = position + 1;
      }
    });
    this.#settings.decoder.device.write(windowOf(this.#uploaded, 0, [words.length]), words);
    return layout;
  }

  /** The sampler keeps the masks up to date on the device; they are uploaded when other rows are in the batch. */
  #uploadSeen(rows: readonly Row[]): Tensor | undefined {
    if (!this.#seen) return undefined;
    const seen = windowOf(this.#seen, 0, [rows.length, this.#seen.shape[1] as number]);
    if (rows.length !== this.#seenRows.length || rows.some((row, r) => row !== this.#seenRows[r])) {
      this.#settings.decoder.device.write(seen, seenWords(rows) as Uint32Array);
      this.#seenRows = [...rows];
    }
    return seen;
  }
}

/** Where things lie in a block's upload, in elements; every part begins where a window may. */
interface Layout {
  /** From one array of a value per row to the next. */
  readonly stride: number;
  /** The newest token of each row, (R). */
  readonly tokens: number;
  readonly streams: number;
  /** For each step three arrays (R): position and slot of the token fed in, and the row's length with it. */
  readonly steps: number;
  /** Block tables (R, table). */
  readonly tables: number;
  readonly table: number;
  readonly length: number;
}

function layoutOf(rows: number, table: number, steps: number): Layout {
  const stride = alignElements(rows);
  const tables = (2 + 3 * steps) * stride;
  return { stride, tokens: 0, streams: stride, steps: 2 * stride, tables, table, length: tables + rows * table };
}
