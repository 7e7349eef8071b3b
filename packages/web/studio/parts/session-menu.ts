/** The open session's name, and a menu of the others: open, rename, start another, delete. */
import { css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { checkIcon, plusIcon, stackIcon, trashIcon } from "../icons";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";
import { ago } from "../wording";

@customElement("studio-session-menu")
export class SessionMenu extends StudioElement {
  static override styles = [
    viewStyles,
    css`
      :host {
        position: relative;
      }
      .open {
        max-width: 100%;
        border-color: transparent;
        background: var(--_sunken);
      }
      .open .label-text {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      dialog {
        position: fixed;
        inset: 4.25rem var(--_space-4) auto auto;
        width: min(24rem, calc(100vw - 2rem));
        max-height: calc(100dvh - 6rem);
        margin: 0;
        padding: var(--_space-4);
        overflow-y: auto;
        border: 1px solid var(--_border);
        border-radius: var(--_radius);
        background: var(--_surface);
        color: var(--_text);
        box-shadow: var(--_shadow);
      }
      dialog[open] {
        display: grid;
        gap: var(--_space-4);
      }
      dialog::backdrop {
        background: rgb(0 0 0 / 0.25);
      }
      li {
        display: flex;
        gap: var(--_space-1);
      }
      li .choose {
        flex: 1;
        justify-content: flex-start;
        min-width: 0;
        text-align: start;
        line-height: 1.3;
      }
      .choose .icon {
        color: var(--_accent);
      }
      .choose span span {
        display: block;
        font-weight: 400;
      }
      .choose > span {
        min-width: 0;
        overflow-wrap: anywhere;
      }
    `,
  ];

  @state() private confirming: string | undefined;

  protected override render() {
    const { session, sessions } = this.state;
    const others = sessions.filter(({ id }) => id !== session.id);
    return html`
      <button class="open" aria-haspopup="dialog" @click=${this.#open}>
        ${stackIcon}<span class="label-text"><span class="hidden-visually">Session: </span>${session.name}</span>
      </button>
      <dialog aria-label="Sessions" @click=${this.#clickOutside}>
        <div class="field">
          <label for="name">Name of this session</label>
          <input id="name" .value=${session.name} maxlength="80" autocomplete="off" @change=${this.#rename} />
        </div>
        <ul class="list">
          <li>
            <button class="quiet choose" aria-current="true" @click=${this.#close}>
              ${checkIcon}<span>${session.name}<span class="small">Open now</span></span>
            </button>
            ${this.#deleteButton(session.id, session.name)}
          </li>
          ${others.map(
            ({ id, name, savedAt }) => html`<li>
              <button class="quiet choose" @click=${() => this.#choose(id)}>
                ${stackIcon}<span>${name}<span class="small">${ago(savedAt, Date.now())}</span></span>
              </button>
              ${this.#deleteButton(id, name)}
            </li>`,
          )}
        </ul>
        <div class="row spread">
          <button @click=${() => this.#choose(undefined)}>${plusIcon} New session</button>
          <button class="quiet" @click=${this.#close}>Close</button>
        </div>
        <p class="small muted">Sessions stay in this browser. Deleting one deletes its models and checkpoints as well.</p>
      </dialog>
    `;
  }

  #deleteButton(id: string, name: string) {
    if (this.confirming !== id) {
      return html`<button class="quiet icon-only danger" aria-label="Delete ${name}" @click=${() => this.#confirm(id)}>${trashIcon}</button>`;
    }
    return html`<button class="danger" @click=${() => this.#delete(id)}>Really delete</button>`;
  }

  #confirm(id: string): void {
    this.confirming = id;
  }

  get #dialog(): HTMLDialogElement {
    return this.renderRoot.querySelector("dialog") as HTMLDialogElement;
  }

  #open(): void {
    this.confirming = undefined;
    this.#dialog.showModal();
  }

  #close(): void {
    this.#dialog.close();
  }

  #clickOutside(event: MouseEvent): void {
    if (event.target === this.#dialog) this.#close();
  }

  #rename(event: Event): void {
    const name = (event.target as HTMLInputElement).value.trim();
    if (name) this.studio.change(() => ({ name }));
  }

  async #choose(id: string | undefined): Promise<void> {
    this.#close();
    await this.studio.openSession(id);
  }

  async #delete(id: string): Promise<void> {
    this.confirming = undefined;
    await this.studio.deleteSession(id);
  }
}
