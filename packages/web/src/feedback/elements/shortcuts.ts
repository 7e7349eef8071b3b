/** Keys that act on an element, unless somebody is typing. */
import type { ReactiveController, ReactiveControllerHost } from "lit";

/**
 * focus: keys act while the focus is inside the element, as WCAG 2.1.4 asks of shortcuts of one character. page: wherever the focus is, for a page
 * that is all about feedback. off: never.
 */
export type ShortcutScope = "focus" | "page" | "off";

export interface ShortcutHost extends ReactiveControllerHost, HTMLElement {
  readonly shortcuts: ShortcutScope;
  /** Does what the key means and returns true, or returns false where it means nothing. */
  press(key: string): boolean;
}

/** Roles of widgets that take characters themselves. */
const TAKES_KEYS = ["textbox", "searchbox", "combobox", "listbox", "menu", "menubar", "tree", "grid", "spinbutton", "slider"];
const TYPING = `input, textarea, select, [contenteditable=""], [contenteditable="true"], ${TAKES_KEYS.map((role) => `[role="${role}"]`).join(", ")}`;

export class Shortcuts implements ReactiveController {
  readonly #host: ShortcutHost;

  constructor(host: ShortcutHost) {
    this.#host = host;
    host.addController(this);
  }

  hostConnected(): void {
    this.#host.addEventListener("keydown", this.#inside);
    this.#host.ownerDocument.addEventListener("keydown", this.#anywhere);
  }

  hostDisconnected(): void {
    this.#host.removeEventListener("keydown", this.#inside);
    this.#host.ownerDocument.removeEventListener("keydown", this.#anywhere);
  }

  readonly #inside = (event: KeyboardEvent) => {
    if (this.#host.shortcuts !== "off") this.#handle(event);
  };

  readonly #anywhere = (event: KeyboardEvent) => {
    if (this.#host.shortcuts === "page") this.#handle(event);
  };

  #handle(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const [target] = event.composedPath();
    if (!(target instanceof Element) || target.closest(TYPING)) return;
    // Enter and space belong to whatever has the focus.
    if ((event.key === "Enter" || event.key === " ") && target.matches("button, a, summary")) return;
    if (this.#host.press(event.key)) event.preventDefault();
  }
}
