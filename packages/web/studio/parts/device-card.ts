/** What runs the models, in two lines, with how full the browser's storage is. */
import { css, html } from "lit";
import { customElement } from "lit/decorators.js";
import { chipIcon } from "../icons";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";
import { bytes, deviceKind } from "../wording";

@customElement("studio-device-card")
export class DeviceCard extends StudioElement {
  static override styles = [
    viewStyles,
    css`
      .card {
        display: grid;
        grid-template-columns: auto minmax(0, 1fr);
        gap: var(--_space-1) var(--_space-3);
        align-items: center;
        padding: var(--_space-3) var(--_space-4);
        background: var(--_sunken);
        font-size: var(--_size-small);
        line-height: 1.4;
      }
      .icon {
        color: var(--_accent);
      }
      b {
        font-weight: 600;
      }
      .use {
        grid-column: 1 / -1;
      }
    `,
  ];

  protected override render() {
    const { engine, storage } = this.state;
    return html`<div class="card">
      ${chipIcon}
      <div>${engine.state === "ready" ? html`<b>${deviceKind(engine.info.device.kind)}</b><br />${this.#detail()}` : WORDS[engine.state]}</div>
      ${storage ? html`<div class="use muted numbers">${bytes(storage.usedBytes)} of ${bytes(storage.quotaBytes)} kept here</div>` : ""}
    </div>`;
  }

  #detail() {
    const { engine } = this.state;
    if (engine.state !== "ready") return "";
    const { kind, threads, software, name } = engine.info.device;
    if (kind === "webgpu") return software ? "emulated on the processor" : name.replace(/^webgpu \((.*)\)$/, "$1");
    return threads === 1 ? "1 thread" : `${threads} threads`;
  }
}

const WORDS = { starting: "Starting…", lost: "The device was lost", failed: "No device" } as const;
