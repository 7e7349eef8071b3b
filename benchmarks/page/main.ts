/**
 * The benchmarks' page: any visitor can measure this browser and take the numbers home.
 *
 * `?run=wasm-strict,webgpu&quick` measures these at once; when all is done the report is `globalThis.trimtabReport`, which is how
 * `npm run bench -- --browser` gets it.
 */
import { type MissingPlatform, type PlatformReport, type PlatformResult, platformTable } from "../src/measure/platform";
import { type Reading, readingCount } from "../src/measure/readings";
import { type Section, significant } from "../src/measure/section";
import { choices, machineOf, runtimeOf } from "./browser";
import type { Choice, MeasureReply, MeasureRequest } from "./messages";

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const form = element<HTMLFormElement>("choices");
const start = element<HTMLButtonElement>("start");
const stop = element<HTMLButtonElement>("stop");
const download = element<HTMLButtonElement>("download");
const progress = element<HTMLProgressElement>("progress");
const status = element("status");

const runtime = runtimeOf(navigator);
const machine = machineOf(navigator);
const parameters = new URLSearchParams(location.search);
const wanted = parameters.get("run")?.split(",");

element("machine").textContent = [
  `${runtime.name} ${runtime.version}`,
  `${machine.cores} cores`,
  crossOriginIsolated
    ? "threads available"
    : "one thread only: this page is not cross-origin isolated (its server sends no COOP and COEP headers)",
].join(" · ");
element("platforms").append(...choices().map(checkbox));
(form.elements.namedItem("quick") as HTMLInputElement).checked = parameters.has("quick");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const data = new FormData(form);
  const chosen = choices().filter(({ id }) => data.getAll("platform").includes(id));
  if (chosen.length === 0) {
    status.textContent = "Choose at least one device to measure.";
    return;
  }
  void measureAll(chosen, data.has("quick"));
});

if (wanted) form.requestSubmit();

function checkbox({ id, label }: Choice): HTMLElement {
  const input = Object.assign(document.createElement("input"), { type: "checkbox", name: "platform", value: id });
  input.checked = wanted?.includes(id) ?? true;
  const row = document.createElement("label");
  row.append(input, ` ${label}`);
  return row;
}

async function measureAll(chosen: readonly Choice[], quick: boolean): Promise<void> {
  const platforms: PlatformResult[] = [];
  const missing: MissingPlatform[] = [];
  const report = (): PlatformReport => ({
    schema: "trimtab-platforms/1",
    measuredAt: new Date().toISOString(),
    quick,
    machine,
    platforms,
    missing,
  });
  const stopping = new AbortController();
  stop.onclick = () => stopping.abort();
  setRunning(true);
  progress.max = chosen.length * readingCount(quick);
  progress.value = 0;
  for (const [index, choice] of chosen.entries()) {
    if (stopping.signal.aborted) break;
    status.textContent = `${choice.label}: starting`;
    const outcome = await measureOne(
      { choice, runtime, quick, textUrl: new URL("speeches.txt", document.baseURI).href },
      stopping.signal,
      (reading) => {
        progress.value += 1;
        status.textContent = `${choice.label}: ${reading.name}: ${reading.value === null ? reading.note : `${significant(reading.value)} ${reading.unit}`}`;
      },
    );
    if ("missing" in outcome) missing.push(outcome);
    else platforms.push(outcome);
    progress.value = (index + 1) * readingCount(quick);
    show(platformTable(report()));
  }
  setRunning(false);
  const seconds = Math.round(platforms.reduce((sum, platform) => sum + platform.seconds, 0));
  status.textContent = stopping.signal.aborted ? "Stopped." : `Done in ${seconds} seconds.`;
  offer(report());
  Object.assign(globalThis, { trimtabReport: report() });
}

/** Measures one device in a worker that lives no longer than that. */
function measureOne(
  request: MeasureRequest,
  signal: AbortSignal,
  onReading: (reading: Reading) => void,
): Promise<PlatformResult | MissingPlatform> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: request.choice.id });
  const name = `${runtime.name}: ${request.choice.label}`;
  return new Promise<PlatformResult | MissingPlatform>((resolve) => {
    signal.addEventListener("abort", () => resolve({ name, missing: "stopped before it was done" }));
    worker.onerror = ({ message }) => resolve({ name, missing: `the worker failed: ${message || "it did not load"}` });
    worker.onmessage = ({ data }: MessageEvent<MeasureReply>) => {
      if (data.kind === "reading") onReading(data.reading);
      else resolve(data.kind === "result" ? data.result : { name, missing: data.reason });
    };
    worker.postMessage(request);
  }).finally(() => worker.terminate());
}

function setRunning(isRunning: boolean): void {
  start.disabled = isRunning;
  stop.hidden = !isRunning;
  progress.hidden = !isRunning;
  if (isRunning) download.hidden = true;
}

function show({ columns, rows, notes }: Section): void {
  const table = document.createElement("table");
  table.append(document.createElement("thead"), document.createElement("tbody"));
  const head = document.createElement("tr");
  head.append(...columns.map((column) => cell("th", column, { scope: "col" })));
  table.tHead?.append(head);
  for (const row of rows) {
    const line = document.createElement("tr");
    line.append(
      ...row.map((value, i) => {
        const text = value === null ? "–" : typeof value === "number" ? significant(value) : value;
        return i === 0 ? cell("th", text, { scope: "row" }) : cell("td", text, {});
      }),
    );
    table.tBodies[0]?.append(line);
  }
  element("table").replaceChildren(table);
  // It scrolls sideways on a narrow screen, by keyboard as well.
  element("table").tabIndex = 0;
  element("table").hidden = rows.length === 0;
  element("notes").replaceChildren(...notes.map((note) => cell("li", note, {})));
}

function cell(tag: "th" | "td" | "li", text: string, attributes: { readonly scope?: string }): HTMLElement {
  return Object.assign(document.createElement(tag), { textContent: text, ...attributes });
}

/** Lets the visitor keep the report. */
function offer(report: PlatformReport): void {
  download.hidden = false;
  download.onclick = () => {
    const url = URL.createObjectURL(new Blob([`${JSON.stringify(report, null, 2)}\n`], { type: "application/json" }));
    const name = `trimtab-benchmarks-${report.measuredAt.slice(0, 10)}.json`;
    Object.assign(document.createElement("a"), { href: url, download: name }).click();
    URL.revokeObjectURL(url);
  };
}
