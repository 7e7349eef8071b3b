/** Step 1: choose a model, and see what it will run on. */
import { parseHubName } from "@trimtab/core";
import { css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { checkIcon, folderIcon, linkIcon, trashIcon, viewIcons } from "../icons";
import type { ChosenFiles } from "../parts/file-drop";
import type { DeviceChoice, StudioModel } from "../store";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";
import { bytes, deviceKind, quantity } from "../wording";
import "../parts/file-drop";

/** The small model that comes with the studio; see public/model/provenance.json. */
const BUNDLED = {
  name: "Speeches",
  origin: "bundled",
  path: "./model/",
  names: ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"],
} as const;

@customElement("studio-model-view")
export class ModelView extends StudioElement {
  static override styles = [
    viewStyles,
    css`
      .sources {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr));
        gap: var(--_space-4);
      }
      .source {
        grid-template-rows: auto 1fr auto;
      }
      .source .row .icon {
        width: 1.75rem;
        height: 1.75rem;
        color: var(--_accent);
      }
      .source > button,
      .source form button {
        justify-self: start;
      }
      form {
        display: grid;
        gap: var(--_space-3);
        align-content: space-between;
      }
      .model {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto auto;
        gap: var(--_space-2);
        align-items: center;
        padding: var(--_space-3) var(--_space-3) var(--_space-3) var(--_space-4);
        border: 1px solid var(--_border);
        border-radius: var(--_radius-small);
      }
      .model.current {
        border-color: var(--_accent);
        background: var(--_accent-soft);
      }
      #device {
        width: auto;
      }
      details[open] summary {
        margin-bottom: var(--_space-2);
      }
      .facts {
        display: grid;
        grid-template-columns: max-content minmax(0, 1fr);
        gap: var(--_space-2) var(--_space-4);
        margin: 0;
      }
      dt {
        color: var(--_text-muted);
      }
      dd {
        margin: 0;
        overflow-wrap: anywhere;
      }
      .notes {
        margin: 0;
        padding-inline-start: 1.2rem;
      }
    `,
  ];

  @state() private problem = "";

  protected override render() {
    const { session, loading } = this.state;
    return html`
      <h1>Choose a model to steer</h1>
      <p class="lead">
        It is read into this page and never leaves it: what you sample, say of it and teach it stays on this machine.
      </p>
      <div class="stack">
        <div role="status">${loading ? this.#loading() : ""}</div>
        ${session.models.length > 0 ? this.#shelf() : ""}
        <section class="sources" aria-label="Where models come from">
          ${this.#bundled()} ${this.#directory()} ${this.#url()}
        </section>
        ${this.#machine()}
      </div>
    `;
  }

  #loading() {
    const { loading } = this.state;
    if (!loading) return "";
    const { name, progress } = loading;
    const detail = progress
      ? `${progress.file}, ${bytes(progress.loadedBytes)}${progress.totalBytes ? ` of ${bytes(progress.totalBytes)}` : ""}`
      : "";
    return html`<div class="panel">
      <h2>Reading ${name}</h2>
      ${
        progress?.totalBytes
          ? html`<progress aria-label="Reading ${name}" max=${progress.totalBytes} .value=${progress.loadedBytes}></progress>`
          : html`<progress aria-label="Reading ${name}"></progress>`
      }
      <p class="small muted numbers">${detail}</p>
    </div>`;
  }

  #shelf() {
    const { models, modelId } = this.state.session;
    return html`<section class="panel" aria-labelledby="shelf">
      <h2 id="shelf">In this session</h2>
      <ul class="list">
        ${models.map((model) => this.#model(model, model.id === modelId))}
      </ul>
    </section>`;
  }

  #model(model: StudioModel, isCurrent: boolean) {
    const { id, name, kind, parameterCount, contextLength, origin, place } = model;
    const facts = [
      kind === "score" ? "reward model" : "language model",
      `${quantity(parameterCount)} parameters`,
      `context of ${contextLength} tokens`,
      origin,
    ];
    return html`<li class="model ${isCurrent ? "current" : ""}" data-model=${name}>
      <div>
        <h3>${name}</h3>
        <p class="small muted">${facts.join(" · ")}${place ? "" : " · gone after a reload"}</p>
      </div>
      ${
        kind === "score"
          ? html`<span class="tag">judges</span>`
          : isCurrent
            ? html`<span class="tag strong">in use</span>`
            : html`<button @click=${() => this.studio.change(() => ({ modelId: id }))}>${checkIcon} Use</button>`
      }
      <button class="quiet icon-only danger" aria-label="Remove ${name}" @click=${() => this.studio.removeModel(id)}>${trashIcon}</button>
    </li>`;
  }

  #bundled() {
    const isBusy = this.state.loading !== undefined || this.state.engine.state !== "ready";
    const isFirst = this.state.session.models.length === 0;
    return html`<div class="panel source">
      <div class="row">${viewIcons.model}<h2>Try the small one</h2></div>
      <p class="muted">
        <b>${BUNDLED.name}</b> has read the State of the Union addresses since 1945: 431 thousand parameters, 0.9 MB. It writes sentences with
        conviction and little sense, and learns within minutes.
      </p>
      <button class=${isFirst ? "primary" : ""} ?disabled=${isBusy} @click=${this.#loadBundled}>Load ${BUNDLED.name}</button>
    </div>`;
  }

  #directory() {
    return html`<div class="panel source">
      <div class="row">${folderIcon}<h2>From a directory</h2></div>
      <studio-file-drop directory label="Choose a directory" @files=${this.#loadFiles}>
        <p class="muted">Drop a Hugging Face directory here: <code>config.json</code>, safetensors, <code>tokenizer.json</code>.</p>
      </studio-file-drop>
    </div>`;
  }

  #url() {
    return html`<form class="panel source" @submit=${this.#loadUrl}>
      <div class="row">${linkIcon}<h2>From a URL</h2></div>
      <div class="field">
        <label for="url">Address, or name on the hub</label>
        <input
          id="url"
          name="url"
          autocomplete="off"
          spellcheck="false"
          placeholder="owner/model or https://…"
          aria-describedby="url-hint"
          aria-invalid=${this.problem !== ""}
        />
        <span class="hint" id="url-hint">${this.problem || "The server must let other sites read (CORS)."}</span>
        <details>
          <summary class="small">It needs a token</summary>
          <div class="field">
            <label for="token">Token</label>
            <input id="token" name="token" type="password" autocomplete="off" />
            <span class="hint">Sent to that server, for this download only. It is kept nowhere.</span>
          </div>
        </details>
      </div>
      <button type="submit">Load from there</button>
    </form>`;
  }

  #machine() {
    const { engine, storage } = this.state;
    return html`<section class="panel" aria-labelledby="machine">
      <div class="panel-head">
        <h2 id="machine">What it runs on</h2>
        <div class="row">
          <label for="device" class="small muted">Device</label>
          <select id="device" .value=${this.state.device} @change=${this.#chooseDevice}>
            <option value="auto">Automatic</option>
            <option value="webgpu">WebGPU</option>
            <option value="wasm">WebAssembly</option>
          </select>
        </div>
      </div>
      ${
        engine.state === "starting"
          ? html`<p class="muted">Starting the engine…</p>`
          : engine.state !== "ready"
            ? html`<p>${engine.reason}</p>
                <button @click=${() => this.studio.restartEngine()}>Start again</button>`
            : this.#device()
      }
      ${
        storage
          ? html`<div class="field">
              <span class="name">Storage</span>
              <progress aria-label="Storage used" max=${storage.quotaBytes || 1} .value=${storage.usedBytes}></progress>
              <div class="row spread">
                <span class="small muted numbers"
                  >${bytes(storage.usedBytes)} of the ${bytes(storage.quotaBytes)} that this browser
                  allows${storage.isPersistent ? ", kept until you delete it" : ""}</span
                >
                ${
                  storage.isPersistent
                    ? ""
                    : html`<button class="quiet" @click=${() => this.studio.persistStorage()}>Ask the browser never to evict it</button>`
                }
              </div>
            </div>`
          : html`<p class="muted">This browser does not say how much it can keep.</p>`
      }
    </section>`;
  }

  #device() {
    const { engine } = this.state;
    if (engine.state !== "ready") return "";
    const { device, notes } = engine.info;
    return html`<dl class="facts">
        <dt>Device</dt>
        <dd>${deviceKind(device.kind)}: ${device.name}</dd>
        <dt>Threads</dt>
        <dd>${device.kind === "webgpu" ? "the GPU's own" : device.threads}</dd>
        <dt>Largest buffer</dt>
        <dd class="numbers">${bytes(device.maxBufferBytes)}</dd>
        <dt>Memory</dt>
        <dd class="numbers">${device.memoryBytes === undefined ? "as much as there is" : `up to ${bytes(device.memoryBytes)}`}</dd>
      </dl>
      ${
        notes.length > 0
          ? html`<div class="field">
              <span class="name">What would make it faster</span>
              <ul class="notes">
                ${notes.map((note) => html`<li>${note}</li>`)}
              </ul>
            </div>`
          : ""
      }`;
  }

  async #loadBundled(): Promise<void> {
    const url = new URL(BUNDLED.path, document.baseURI).href;
    const { name, origin, names } = BUNDLED;
    await this.studio.loadModel({ url, names }, { name, origin });
  }

  async #loadFiles({ detail: { files, directory = "My model" } }: CustomEvent<ChosenFiles>): Promise<void> {
    await this.studio.loadModel({ files }, { name: directory, origin: "from a directory" });
  }

  async #loadUrl(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const fields = new FormData(form);
    const text = String(fields.get("url")).trim();
    const token = String(fields.get("token")).trim();
    const onHub = parseHubName(text);
    const isAddress = /^https?:\/\/.+/.test(text) && URL.canParse(text);
    this.problem = onHub || isAddress ? "" : "This must be owner/model, owner/model@revision or a whole address, https://…";
    if (this.problem) return;
    form.reset();
    if (onHub) {
      const name = onHub.repository.split("/")[1] as string;
      await this.studio.loadModel({ hub: text, ...(token ? { token } : {}) }, { name, origin: "from the hub" });
      return;
    }
    const { pathname, host, href } = new URL(text);
    const from = token ? { url: href, headers: { Authorization: `Bearer ${token}` } } : { url: href };
    await this.studio.loadModel(from, { name: pathname.split("/").filter(Boolean).at(-1) ?? host, origin: host });
  }

  async #chooseDevice(event: Event): Promise<void> {
    await this.studio.restartEngine((event.target as HTMLSelectElement).value as DeviceChoice);
  }
}
