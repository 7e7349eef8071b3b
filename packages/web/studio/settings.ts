/** What this browser remembers whatever the session: the theme, and the device that was asked for. */
import type { DeviceChoice, Theme } from "./store";

export interface Settings {
  readonly theme: Theme;
  readonly device: DeviceChoice;
}

const KEY = "trimtab-studio";
const DEFAULTS: Settings = { theme: "auto", device: "auto" };

export function readSettings(): Settings {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return DEFAULTS; // storage is switched off, or holds something else
  }
}

export function writeSettings(settings: Partial<Settings>): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...readSettings(), ...settings }));
  } catch {
    // storage is switched off: the setting holds for this page
  }
}
