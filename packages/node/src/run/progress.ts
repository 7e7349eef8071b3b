/** Progress with rate and time left: a bar on a terminal, plain lines elsewhere. Written to standard error. */
import progressBars from "cli-progress";

export interface ProgressOptions {
  /** What is going on, e.g. "GRPO". */
  readonly label: string;
  /** Steps in all; undefined where the end is not known (no time left is shown then). */
  readonly total?: number;
  /** Steps already done when resuming. Default 0. */
  readonly done?: number;
  /** The unit of a step in the rate. Default "steps". */
  readonly unit?: string;
  /** Shows nothing. Default false. */
  readonly quiet?: boolean;
}

/** Counts steps until `stop`. `note` is free text behind the rate, e.g. the loss. */
export interface Progress {
  update(done: number, note?: string): void;
  /** Ends the bar, leaving its last state on the screen. */
  stop(): void;
}

/** Plain lines come at most this often. */
const LINE_INTERVAL_MS = 5000;

/** Starts showing progress. The rate is that of this process: steps done before a resume do not count. */
export function startProgress(options: ProgressOptions, stream: NodeJS.WriteStream = process.stderr): Progress {
  const { label, total, done: first = 0, unit = "steps", quiet = false } = options;
  if (quiet) return { update: () => {}, stop: () => {} };
  const started = performance.now();
  const describe = (done: number, note: string) => {
    const seconds = (performance.now() - started) / 1000;
    const rate = seconds > 0 ? (done - first) / seconds : 0;
    const left = total !== undefined && rate > 0 ? `${formatSeconds((total - done) / rate)} left` : "";
    return [`${formatRate(rate)} ${unit}/s`, total !== undefined && done >= total ? `took ${formatSeconds(seconds)}` : left, note]
      .filter(Boolean)
      .join("  ");
  };
  if (stream.isTTY && total !== undefined) return terminalBar(label, total, first, describe, stream);

  let lastLine = started;
  let shown = first;
  let latest = { done: first, note: "" };
  const write = () => {
    shown = latest.done;
    lastLine = performance.now();
    stream.write(`${label} ${latest.done}${total === undefined ? "" : `/${total}`}  ${describe(latest.done, latest.note)}\n`);
  };
  return {
    update(done, note = "") {
      latest = { done, note };
      if (performance.now() - lastLine >= LINE_INTERVAL_MS) write();
    },
    stop() {
      if (latest.done !== shown) write();
    },
  };
}

function terminalBar(
  label: string,
  total: number,
  first: number,
  describe: (done: number, note: string) => string,
  stream: NodeJS.WriteStream,
): Progress {
  const bar = new progressBars.SingleBar({
    stream,
    barsize: 24,
    hideCursor: true,
    fps: 8,
    autopadding: true,
    gracefulExit: false,
    forceRedraw: true,
    format: (barOptions, params, payload: { text?: string }) =>
      `${label} ${progressBars.Format.BarFormat(params.progress, { ...barOptions, barCompleteString: "█".repeat(24), barIncompleteString: "░".repeat(24) })} ${params.value}/${params.total}  ${payload.text ?? ""}`,
  });
  bar.start(total, first, { text: "" });
  return {
    update: (done, note = "") => bar.update(done, { text: describe(done, note) }),
    stop: () => bar.stop(),
  };
}

/** 0:07, 12:34, 1:02:03 */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours, minutes, rest] = parts as [number, number, number];
  const two = (n: number) => String(n).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Three significant digits, thousands as k. */
export function formatRate(rate: number): string {
  if (rate >= 1e6) return `${(rate / 1e6).toPrecision(3)}M`;
  if (rate >= 1e4) return `${(rate / 1e3).toPrecision(3)}k`;
  return rate >= 1000 ? String(Math.round(rate)) : String(Number(rate.toPrecision(3)));
}
