/** Measures one device on a thread of its own, as an application would use it. */
import { createDevice } from "@trimtab/web";
import { measurePlatform } from "../src/measure/platform";
import type { MeasureReply, MeasureRequest } from "./messages";

const reply = (message: MeasureReply) => postMessage(message);

addEventListener("message", async ({ data }: MessageEvent<MeasureRequest>) => {
  try {
    reply(await measure(data));
  } catch (error) {
    reply({ kind: "missing", reason: error instanceof Error ? error.message : String(error) });
  }
});

async function measure({ choice, runtime, quick, textUrl }: MeasureRequest): Promise<MeasureReply> {
  const text = await (await fetch(textUrl)).text();
  const device = await createDevice(choice.device, { threads: choice.threads, relaxed: choice.relaxed });
  const onReading = (reading: Extract<MeasureReply, { kind: "reading" }>["reading"]) => reply({ kind: "reading", reading });
  const notes = crossOriginIsolated ? [] : ["the page is not cross-origin isolated, which leaves it one thread"];
  return { kind: "result", result: await measurePlatform({ runtime, device, notes, text, quick, onReading }) };
}
