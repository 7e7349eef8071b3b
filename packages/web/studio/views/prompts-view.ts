/** Step 2: the prompts, written here or brought along. */
import { css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { plusIcon, trashIcon, viewIcons } from "../icons";
import type { ChosenFiles } from "../parts/file-drop";
import { BUNDLED_PROMPTS, promptOf, promptText, readPrompts } from "../prompts";
import { counted } from "../steps";
import type { StudioPrompt } from "../store";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";
import "../parts/file-drop";

/** As many are drawn at once; a file may hold thousands. */
const PAGE = 60;

@customElement("studio-prompts-view")
export class PromptsView extends StudioElement {
  static override styles = [
    viewStyles,
    css`
      .new {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: var(--_space-3);
        align-items: end;
      }
      li {
        display: grid;
        grid-template-columns: 2.25rem minmax(0, 1fr) auto;
        gap: var(--_space-2);
        align-items: start;
      }
      li > .small {
        padding-top: 0.85rem;
        text-align: end;
      }
      textarea {
        field-sizing: content;
        min-height: 2.9rem;
        padding: 0.6rem var(--_space-3);
        resize: none;
      }
      li textarea:not(:focus, :hover) {
        border-color: var(--_border);
      }
      .turns {
        padding: 0.6rem 0;
      }
      .sources {
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 16rem), 1fr));
      }
      @media (max-width: 30rem) {
        li {
          grid-template-columns: minmax(0, 1fr) auto;
        }
        li > .small {
          display: none;
        }
      }
    `,
  ];

  @state() private shown = PAGE;
  @state() private isClearing = false;

  protected override render() {
    const { prompts } = this.state.session;
    const unused = BUNDLED_PROMPTS.filter((text) => !prompts.some(({ prompt }) => prompt === text));
    return html`
      <h1>What shall it answer?</h1>
      <p class="lead">
        Prompts that the model goes on from: for sampling, for your feedback and, later, for the training that your feedback steers.
      </p>
      <div class="stack">
        <section class="panel" aria-label="Prompts of this session">
          <form class="new" @submit=${this.#add}>
            <div class="field">
              <label for="new">New prompt</label>
              <textarea id="new" name="prompt" rows="1" placeholder="My fellow Americans," @keydown=${this.#submitOnEnter}></textarea>
            </div>
            <button type="submit">${plusIcon} Add</button>
          </form>
          ${prompts.length === 0 ? this.#empty(unused) : this.#list(prompts)}
        </section>
        <section class="two sources" aria-label="Other prompts">
          ${
            prompts.length > 0 && unused.length > 0
              ? html`<div class="panel">
                  <h2>Bundled prompts</h2>
                  <p class="muted">${unused.length} openings of sentences, at home in the bundled model's speeches.</p>
                  <div><button @click=${() => this.#bundled(unused)}>Add them</button></div>
                </div>`
              : ""
          }
          <studio-file-drop label="Import a file" accept=".txt,.jsonl,.ndjson,.json" @files=${this.#import}>
            <p class="muted">Text, one prompt a line, or JSON Lines with a <code>prompt</code>; other columns reach the rewards.</p>
          </studio-file-drop>
        </section>
      </div>
    `;
  }

  #empty(unused: readonly string[]) {
    return html`<div class="empty">
      ${viewIcons.prompts}
      <h2>No prompts yet</h2>
      <p>Write one above, import a file, or begin with the ${unused.length} that come with the bundled model.</p>
      <button class="primary" @click=${() => this.#bundled(unused)}>Use the bundled prompts</button>
    </div>`;
  }

  #list(prompts: readonly StudioPrompt[]) {
    return html`
      <div class="panel-head">
        <h2>${counted(prompts.length, "prompt")}</h2>
        <button class="quiet danger" @click=${this.#clear}>${this.isClearing ? "Really remove all" : "Remove all"}</button>
      </div>
      <ul class="list">
        ${repeat(
          prompts.slice(0, this.shown),
          ({ id }) => id,
          (prompt, i) => this.#prompt(prompt, i),
        )}
      </ul>
      ${
        prompts.length > this.shown
          ? html`<button
              @click=${() => {
                this.shown += PAGE;
              }}
            >
              Show ${Math.min(PAGE, prompts.length - this.shown)} more
            </button>`
          : ""
      }
    `;
  }

  #prompt(prompt: StudioPrompt, i: number) {
    const columns = Object.keys(prompt.columns);
    return html`<li>
      <span class="small muted numbers" aria-hidden="true">${i + 1}</span>
      <div>
        ${
          typeof prompt.prompt === "string"
            ? html`<textarea
                rows="1"
                aria-label="Prompt ${i + 1}"
                .value=${prompt.prompt}
                @change=${(event: Event) => this.#edit(prompt.id, (event.target as HTMLTextAreaElement).value)}
              ></textarea>`
            : html`<p class="turns text">${promptText(prompt)}</p>
                <span class="tag">${counted(prompt.prompt.length, "message")}</span>`
        }
        ${columns.length > 0 ? html`<p class="small muted break">with ${columns.join(", ")}</p>` : ""}
      </div>
      <button class="quiet icon-only danger" aria-label="Remove prompt ${i + 1}" @click=${() => this.#remove(prompt.id)}>${trashIcon}</button>
    </li>`;
  }

  #put(added: readonly StudioPrompt[]): void {
    this.studio.change(({ prompts }) => ({ prompts: [...prompts, ...added] }));
  }

  #bundled(texts: readonly string[]): void {
    this.#put(texts.map((text) => promptOf(text)));
  }

  #add(event: SubmitEvent): void {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const text = String(new FormData(form).get("prompt")).trim();
    if (!text) return;
    this.#put([promptOf(text)]);
    form.reset();
    form.querySelector("textarea")?.focus();
  }

  #submitOnEnter(event: KeyboardEvent): void {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    (event.target as HTMLTextAreaElement).form?.requestSubmit();
  }

  /** What was sampled answers what the prompt said before. */
  #edit(id: string, text: string): void {
    this.studio.change(({ prompts, completions }) => ({
      completions: completions.filter(({ promptId }) => promptId !== id),
      prompts: prompts.map((prompt) => (prompt.id === id ? { ...prompt, prompt: text } : prompt)).filter(({ prompt }) => prompt !== ""),
    }));
  }

  #remove(id: string): void {
    this.studio.change(({ prompts }) => ({ prompts: prompts.filter((prompt) => prompt.id !== id) }));
  }

  #clear(): void {
    if (this.isClearing) this.studio.change(() => ({ prompts: [] }));
    this.isClearing = !this.isClearing;
  }

  async #import({ detail: { files } }: CustomEvent<ChosenFiles>): Promise<void> {
    try {
      const read = await Promise.all(files.map(async (file) => readPrompts(await file.text(), file.name)));
      this.#put(read.flat());
      this.studio.notify("done", `${counted(read.flat().length, "prompt")} imported.`);
    } catch (error) {
      this.studio.notify("error", (error as Error).message);
    }
  }
}
