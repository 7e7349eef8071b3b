/** What a run ran on, for logs and reports. */
import os from "node:os";
import type { Device } from "@trimtab/core";
import { version } from "../package.json";

export { version };

/** Name and value of everything that may explain a difference between two runs. */
export function environmentOf(device: Device): [name: string, value: string][] {
  const cpu = os.cpus()[0]?.model.trim() ?? "unknown processor";
  return [
    ["Device", device.info.name],
    ["Trimtab", version],
    ["Node", process.version],
    ["Processor", `${cpu}, ${os.availableParallelism()} cores`],
    ["Memory", `${(os.totalmem() / 2 ** 30).toFixed(1)} GiB`],
    ["System", `${os.type()} ${os.release()} ${os.arch()}`],
  ];
}
