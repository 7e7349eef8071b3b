/**
 * `npm run bench`: op throughput, training steps, generation and tokenization on the chosen device, beside the peers that are installed;
 * with `--browser` the same few measurements on every platform of this machine, Chromium included.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { setFlagsFromString } from "node:v8";
import type { Chart, DeviceInfo } from "@trimtab/core";
import { createDevice } from "@trimtab/node";
import { Command, Option } from "commander";
import { checkConformance } from "./conformance";
import { benchmarkGemm } from "./gemm";
import { benchmarkInference } from "./inference";
import { measureMachine } from "./machine";
import { requireBelowCeiling } from "./measure/ceilings";
import { benchmarkGeneration, type Rival } from "./measure/generation";
import { benchmarkOps } from "./measure/ops";
import { platformTable } from "./measure/platform";
import type { Section } from "./measure/section";
import { shapeNames } from "./measure/shapes";
import { benchmarkMemory } from "./memory";
import { peersInstalled } from "./peers";
import { type ProfiledRun, profileSteps } from "./profile";
import { writeReadme } from "./readme";
import { printSection } from "./report";
import { benchmarkScaling } from "./scaling";
import { makeCheckpoint } from "./smollm2/checkpoint";
import { benchmarkCheckpointGeneration } from "./smollm2/generation";
import { benchmarkCheckpointTraining } from "./smollm2/training";
import { benchmarkStartup } from "./startup";
import { benchmarkGptSteps, benchmarkLlamaSteps, startTorch } from "./steps";
import { benchmarkTokenizer } from "./tokenizer";
import { type Run, writePage, writePerformance } from "./write-report";

const MEASUREMENTS = ["gemm", "ops", "step", "inference", "generate", "memory", "scaling", "startup", "tokenizer", "smollm2"] as const;
/** Only on demand: the tests run the conformance suite too, on machines that have all of the project. */
const SECTIONS = ["conformance", ...MEASUREMENTS] as const;

interface Options {
  readonly device: "wasm" | "webgpu";
  readonly only?: readonly (typeof SECTIONS)[number][];
  readonly shapes?: readonly string[];
  readonly threads: number;
  readonly relaxed: boolean;
  readonly peers: boolean;
  readonly browser: boolean;
  readonly readme: boolean;
  readonly page?: string | true;
  readonly profile: boolean;
  readonly report: boolean;
  readonly quick: boolean;
  readonly json?: string;
}

const options = new Command("bench")
  .description("Measures Trimtab on this machine and prints tables; peers take part when `npm run bench:peers` has installed them.")
  .addOption(new Option("--device <kind>", "which device").choices(["wasm", "webgpu"]).default("wasm"))
  .addOption(new Option("--only <sections...>", "some sections only").choices(SECTIONS))
  .addOption(new Option("--shapes <names...>", "some Llama shapes only, in steps, generation and profiles").choices(shapeNames))
  .option("--threads <n>", "threads of the wasm device", Number, availableParallelism())
  .option("--no-relaxed", "measure the strict build even where relaxed SIMD is to be had")
  .option("--no-peers", "leave the peers out")
  .option("--browser", "every platform of this machine: Node and Chromium, wasm and WebGPU, in one table", false)
  .option("--readme", "with --browser: put the table into README.md", false)
  .option("--page [port]", "serve the page that measures the visitor's browser, until interrupted")
  .option("--profile", "where the time of a training step and of a GRPO step goes, by phase and op; and nothing else", false)
  .option(
    "--report",
    "everything, profiles included; its tables go into docs/performance.md, its curves into a page beside the results",
    false,
  )
  .option("--quick", "smaller sizes, for a first look", false)
  .option("--json <file>", "where to write the results; default: benchmarks/results/latest.json, with --report <device>-report.json there")
  .parse()
  .opts<Options>();

// Node 20 has relaxed SIMD behind a flag of V8; later versions know no such flag and have it on.
if (options.relaxed && Number(process.versions.node.split(".")[0]) < 22) setFlagsFromString("--experimental-wasm-relaxed-simd");

const jsonFile = options.json ?? `benchmarks/results/${options.report ? `${options.device}-report` : "latest"}.json`;
const command = `npm run bench -- ${process.argv.slice(2).join(" ")}`.trim();

if (options.page !== undefined) await offerPage();
else if (options.browser) await comparePlatforms();
else await measureDevice();

/** Serves the page until the process is interrupted. */
async function offerPage(): Promise<void> {
  const { servePage } = await import("./page-server");
  const { url } = await servePage({ isCrossOriginIsolated: true, port: Number(options.page === true ? 0 : options.page) });
  console.log(`${url} measures the browser that opens it; Ctrl-C ends it.`);
}

async function comparePlatforms(): Promise<void> {
  const { measurePlatforms } = await import("./platforms");
  const { threads, quick } = options;
  const onProgress = (line: string) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line.slice(0, process.stderr.columns - 1)}`);
  };
  const report = await measurePlatforms({ threads, quick, onProgress });
  onProgress("");
  const { cpu, cores, system } = report.machine;
  console.log(`${cpu}, ${cores} cores, ${system}`);
  printSection(platformTable(report), { stackedHead: true });
  writeResults(report);
  if (options.readme) writeReadme("README.md", report);
}

/** All sections on one device of Node's, beside the peers. */
async function measureDevice(): Promise<void> {
  const wanted = (name: (typeof SECTIONS)[number]) => (options.only ?? MEASUREMENTS).includes(name);
  const sections: Section[] = [];
  const show = (section: Section) => {
    printSection(section);
    sections.push(section);
  };

  const device = await createDevice(
    options.device,
    options.device === "wasm" ? { threads: options.threads, relaxed: options.relaxed } : {},
  );
  console.log(`${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, Node ${process.versions.node}; ${device.info.name}`);
  if (options.peers && !peersInstalled()) console.log("peers are not installed: run `npm run bench:peers` to compare with them");

  if (wanted("conformance")) show(await checkConformance(device));
  const isGemmWanted = wanted("gemm") && !options.profile && !device.info.software;
  const gemmDevices = isGemmWanted && options.device === "wasm" ? gemmVariants() : [];
  const machine = await measureMachine([device.info, ...gemmDevices], options);
  const runs: ProfiledRun[] = [];
  const charts: Chart[] = [];
  let products: Section | undefined;
  if (isGemmWanted) {
    const devices = [];
    for (const { name, threads, relaxed } of gemmDevices) devices.push({ name, device: await createDevice("wasm", { threads, relaxed }) });
    const [measured, sizes] =
      options.device === "wasm" ? [devices, [256, 512, 1024]] : [[{ name: "webgpu", device }], [512, 1024, 2048, 4096]];
    const { quick } = options;
    const peers = options.peers && options.device === "wasm";
    products = await benchmarkGemm(measured, quick ? sizes.slice(0, 1) : sizes, machine, { peers, quick });
    for (const { device } of devices) await device.destroy();
  }
  const ceilings = machine.ceilings(device.info);
  show(machine.section());
  if (products) show(products);
  const isMeasured = (name: (typeof SECTIONS)[number]) => wanted(name) && !options.profile;
  if (isMeasured("ops")) show(await benchmarkOps(device, ceilings));
  if (isMeasured("step")) {
    show(await benchmarkGptSteps(device, { peers: options.peers, quick: options.quick }));
    show(await benchmarkLlamaSteps(device, ceilings, { peers: options.peers, quick: options.quick }));
  }
  if (isMeasured("inference") && options.device === "wasm")
    show(await benchmarkInference(device, { peers: options.peers, quick: options.quick }));
  if (isMeasured("generate")) {
    const torch: Rival = (shape, batch, newTokens) => startTorch("generate", device.info, shape, batch, newTokens);
    show(await benchmarkGeneration(device, options, options.peers && !device.info.software ? torch : undefined));
  }
  if (isMeasured("memory")) show(await benchmarkMemory(device.info));
  if (isMeasured("scaling") && !device.info.software) {
    const scaling = await benchmarkScaling(device, options);
    show(scaling.section);
    charts.push(...scaling.charts);
  }
  if (isMeasured("startup")) show(await benchmarkStartup(options.device, options));
  if (isMeasured("tokenizer") && options.device === "wasm") show(await benchmarkTokenizer({ peers: options.peers }));
  if (options.profile || options.report) {
    for await (const run of profileSteps(device, ceilings, options)) {
      console.log(`\n${run.name}, on ${device.info.name}\n${run.text}`);
      show(run.section);
      runs.push(run);
    }
  }
  if (isMeasured("smollm2") && options.device === "wasm") {
    const checkpoint = await makeCheckpoint(options);
    try {
      show(await benchmarkCheckpointTraining(checkpoint, options));
      show(await benchmarkCheckpointGeneration(checkpoint, options));
    } finally {
      checkpoint.remove();
    }
  }

  await device.destroy();
  writeResults({ machine: machineOf(), device: device.info, sections });
  if (runs.length + charts.length > 0) writeReport(device.info, sections, runs, charts);
  requireBelowCeiling(sections.flatMap(({ shares = [] }) => shares));
}

/** Both builds on one thread and on all. */
function gemmVariants() {
  const builds = options.relaxed ? (["strict", "relaxed"] as const) : (["strict"] as const);
  return builds.flatMap((build) =>
    [...new Set([1, options.threads])].map((threads) => ({
      name: `${build} ${threads}t`,
      kind: "wasm" as const,
      threads,
      relaxed: build === "relaxed",
    })),
  );
}

function machineOf() {
  return {
    cpu: cpus()[0]?.model.trim(),
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  };
}

/** Curves and pictures as a page beside the results; with --report the tables go into docs/performance.md too. */
function writeReport(device: DeviceInfo, sections: readonly Section[], runs: readonly ProfiledRun[], charts: readonly Chart[]): void {
  const { cpu, cores, memoryGiB } = machineOf();
  const run: Run = {
    name: device.kind,
    command,
    machine: `${cpu}, ${cores} cores, ${memoryGiB} GiB, Node ${process.versions.node}, ${device.name}`,
    sections,
    charts,
    flames: runs.map(({ flame }) => flame),
    tables: runs.map(({ table }) => table),
  };
  const page = options.report ? jsonFile.replace(/json$/, "html") : join(dirname(jsonFile), "report.html");
  writePage(page, run);
  console.log(`curves and pictures in ${page}`);
  if (options.report) writePerformance("docs/performance.md", run);
}

function writeResults(results: object): void {
  mkdirSync(dirname(jsonFile), { recursive: true });
  writeFileSync(jsonFile, `${JSON.stringify({ command, ...results }, null, 2)}\n`);
  console.log(`\nwritten to ${jsonFile}`);
}
