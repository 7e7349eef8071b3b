/** `trimtab devices`: what can compute on this machine, and what `--device auto` takes. */
import type { z } from "zod";
import { listDevices } from "../../device";
import type { devicesSchema } from "../schemas/devices";

export async function runDevices({ json }: z.output<typeof devicesSchema>): Promise<number> {
  const devices = await listDevices();
  if (json) {
    console.log(JSON.stringify(devices, null, 2));
    return 0;
  }
  for (const { kind, name, isAuto, problem, note } of devices) {
    console.log(`${isAuto ? "*" : " "} ${kind.padEnd(10)} ${problem === undefined ? name : `not here: ${problem}`}`);
    if (note !== undefined) console.log(`${" ".repeat(13)}${note}`);
  }
  console.log("\n* is what --device auto takes.");
  return 0;
}
