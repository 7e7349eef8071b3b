/** A device that lets its thread read its messages at every readback, even where the work itself never waits (wasm, reference). */
import type { Device } from "@trimtab/kernels";
import { turnOfTheLoop } from "../turn-of-the-loop";

/**
 * The same device, except that `read` and `sync` return in a turn of the event loop of their own: between two of them the thread hears that a call
 * was given up. Costs some ten microseconds a readback; a timer would cost a browser's four milliseconds.
 */
export function responsiveDevice(device: Device): Device {
  return {
    info: device.info,
    counters: device.counters,
    lost: device.lost,
    profiler: device.profiler,
    dispatchTimed: device.dispatchTimed,
    alloc: (byteLength, kind) => device.alloc(byteLength, kind),
    free: (buffer) => device.free(buffer),
    write: (tensor, data) => device.write(tensor, data),
    copy: (from, to) => device.copy(from, to),
    dispatch: (entry, args) => device.dispatch(entry, args),
    async read(tensor) {
      const data = await device.read(tensor);
      await turnOfTheLoop();
      return data;
    },
    async sync() {
      await device.sync();
      await turnOfTheLoop();
    },
    memory: () => device.memory(),
    destroy: () => device.destroy(),
  };
}
