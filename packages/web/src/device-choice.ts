/** The devices that can be asked for, by name. */

/** `auto` takes a hardware GPU where there is one, else wasm; never a GPU emulated on the CPU, which `webgpu` does take. */
export type DeviceChoice = "auto" | "webgpu" | "wasm" | "reference";

export const DEVICE_CHOICES: readonly DeviceChoice[] = ["auto", "webgpu", "wasm", "reference"];
