/** Numbers and devices in words that a person reads. */
import type { DeviceInfo } from "@trimtab/core";

/** "864 KB", "1.2 GB": powers of ten, three digits. */
export function bytes(count: number): string {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let [value, unit] = [count, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}

/** "431 thousand", "1.24 billion". */
export function quantity(count: number): string {
  const names = ["", " thousand", " million", " billion"];
  let [value, name] = [count, 0];
  while (value >= 999.5 && name < names.length - 1) [value, name] = [value / 1000, name + 1];
  return `${Number(value.toPrecision(3))}${names[name]}`;
}

/** With a capital, to begin a sentence. */
export function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The kind of device, as its makers call it. */
export function deviceKind(kind: DeviceInfo["kind"]): string {
  return { webgpu: "WebGPU", wasm: "WebAssembly", reference: "Reference" }[kind];
}

/** "just now", "5 minutes ago", "3 days ago". */
export function ago(thenMs: number, nowMs: number): string {
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const minutes = (thenMs - nowMs) / 60_000;
  if (minutes > -1) return "just now";
  if (minutes > -60) return format.format(Math.round(minutes), "minute");
  if (minutes > -60 * 24) return format.format(Math.round(minutes / 60), "hour");
  return format.format(Math.round(minutes / 60 / 24), "day");
}
