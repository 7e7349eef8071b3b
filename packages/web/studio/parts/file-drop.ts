/** `<studio-file-drop>`: a place to drop files or a directory on, with a button that chooses them: event `files`. */
import { css, html, LitElement } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { viewStyles } from "../view-styles";

/** What `files` says. */
export interface ChosenFiles {
  readonly files: readonly File[];
  /** The name of the directory that they are from. */
  readonly directory: string | undefined;
}

@customElement("studio-file-drop")
export class FileDrop extends LitElement {
  static override styles = [
    viewStyles,
    css`
      .zone {
        display: grid;
        justify-items: center;
        align-content: center;
        gap: var(--_space-3);
        height: 100%;
        padding: var(--_space-4);
        border: 1.5px dashed var(--_border-control);
        border-radius: var(--_radius);
        text-align: center;
        transition:
          border-color var(--_duration),
          background-color var(--_duration);
      }
      .zone.over {
        border-color: var(--_accent);
        background: var(--_accent-soft);
      }
    `,
  ];

  /** Whether a directory is wanted, or single files. */
  @property({ type: Boolean }) directory = false;
  /** What the button says. */
  @property() label = "Choose files";
  /** The endings that the chooser shows, as of `<input accept>`. */
  @property() accept = "";
  @state() private isOver = false;

  protected override render() {
    return html`<div
      class="zone ${this.isOver ? "over" : ""}"
      @dragover=${this.#over}
      @dragleave=${() => {
        this.isOver = false;
      }}
      @drop=${this.#drop}
    >
      <slot></slot>
      <button @click=${() => this.renderRoot.querySelector("input")?.click()}>${this.label}</button>
      <input
        type="file"
        tabindex="-1"
        aria-hidden="true"
        ?webkitdirectory=${this.directory}
        ?multiple=${!this.directory}
        accept=${this.accept}
        @change=${this.#chosen}
      />
    </div>`;
  }

  #over(event: DragEvent): void {
    event.preventDefault();
    this.isOver = true;
  }

  async #drop(event: DragEvent): Promise<void> {
    event.preventDefault();
    this.isOver = false;
    const entries = [...(event.dataTransfer?.items ?? [])].flatMap((item) => item.webkitGetAsEntry() ?? []);
    const files = await Promise.all(entries.map(filesOf));
    this.#tell(files.flat(), entries.find(({ isDirectory }) => isDirectory)?.name);
  }

  #chosen(event: Event): void {
    const input = event.target as HTMLInputElement;
    const files = [...(input.files ?? [])];
    this.#tell(files, files[0]?.webkitRelativePath.split("/")[0] || undefined);
    input.value = "";
  }

  #tell(files: readonly File[], directory: string | undefined): void {
    if (files.length > 0) this.dispatchEvent(new CustomEvent<ChosenFiles>("files", { detail: { files, directory } }));
  }
}

/** A dropped file, or those directly in a dropped directory: a model's directory has no others. */
async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) break;
    all.push(...some);
  }
  const files = await Promise.all(all.filter(({ isFile }) => isFile).map(filesOf));
  return files.flat();
}
