/** How the frame is laid out: steps beside the content on a wide screen, below it on a phone. */
import { css } from "lit";

export const appStyles = css`
  :host {
    display: grid;
    grid-template:
      "brand brand" auto
      "steps main" 1fr / 17rem minmax(0, 1fr);
    min-height: 100dvh;
    background: var(--_canvas);
  }

  .skip {
    position: absolute;
    inset: 0.5rem auto auto 0.5rem;
    z-index: 30;
    padding: var(--_space-2) var(--_space-4);
    border-radius: var(--_radius-small);
    background: var(--_accent);
    color: var(--_accent-text);
    transform: translateY(-200%);
  }
  .skip:focus {
    transform: none;
  }

  header {
    grid-area: brand;
    position: sticky;
    top: 0;
    z-index: 20;
    display: flex;
    align-items: center;
    gap: var(--_space-4);
    height: 4rem;
    padding: 0 var(--_space-5);
    border-bottom: 1px solid var(--_border);
    background: var(--_surface);
  }
  .brand {
    display: flex;
    align-items: center;
    gap: var(--_space-3);
    font-size: 1.0625rem;
    letter-spacing: -0.01em;
    white-space: nowrap;
  }
  .brand b {
    font-weight: 650;
  }
  .mark {
    display: block;
    width: 2rem;
    height: 2rem;
  }
  studio-session-menu {
    margin-left: auto;
    min-width: 0;
  }

  .icon-only {
    min-width: 2.75rem;
    padding: 0;
  }
  .icon {
    width: 1.375rem;
    height: 1.375rem;
  }

  nav {
    grid-area: steps;
    position: sticky;
    top: 4rem;
    display: flex;
    flex-direction: column;
    justify-content: space-between;
    gap: var(--_space-5);
    height: calc(100dvh - 4rem);
    padding: var(--_space-5) var(--_space-4);
    border-right: 1px solid var(--_border);
    background: var(--_surface);
    overflow-y: auto;
  }
  ol {
    display: grid;
    gap: var(--_space-1);
    margin: 0;
    padding: 0;
    list-style: none;
  }
  .step {
    position: relative;
    display: flex;
    justify-content: flex-start;
    gap: var(--_space-3);
    width: 100%;
    min-height: 3.5rem;
    padding: var(--_space-2) var(--_space-3);
    border-color: transparent;
    background: transparent;
    color: var(--_text-muted);
    text-align: start;
  }
  .step:disabled {
    border-color: transparent;
  }
  .step:not(:disabled):hover {
    background: var(--_sunken);
    border-color: transparent;
    color: var(--_text);
  }
  .step[aria-current="step"] {
    background: var(--_accent-soft);
    color: var(--_accent);
  }
  .badge {
    position: relative;
    display: grid;
    place-items: center;
    flex: none;
    width: 2.25rem;
    height: 2.25rem;
  }
  .tick {
    position: absolute;
    right: -0.2rem;
    bottom: -0.1rem;
    display: grid;
    place-items: center;
    width: 1.05rem;
    height: 1.05rem;
    border: 2px solid var(--_surface);
    border-radius: 50%;
    background: var(--_accent);
    color: var(--_accent-text);
  }
  .tick .icon {
    width: 0.7rem;
    height: 0.7rem;
    stroke-width: 3.5;
  }
  .words {
    display: grid;
    min-width: 0;
    line-height: 1.3;
  }
  .title {
    color: var(--_text);
    font-weight: 600;
  }
  .step[aria-current="step"] .title {
    color: inherit;
  }
  .status {
    overflow: hidden;
    font-size: var(--_size-small);
    font-weight: 400;
    text-overflow: ellipsis;
    white-space: nowrap;
  }

  main {
    grid-area: main;
    width: 100%;
    max-width: 68rem;
    margin: 0 auto;
    padding: var(--_space-6) clamp(1rem, 4vw, 3rem) var(--_space-6);
    outline: none;
  }
  .onward {
    display: flex;
    justify-content: flex-end;
    margin: var(--_space-6) 0 0;
    padding-top: var(--_space-5);
    border-top: 1px solid var(--_border);
  }
  .onward button {
    padding-inline: var(--_space-5);
  }

  .notices {
    position: fixed;
    right: var(--_space-5);
    bottom: var(--_space-5);
    z-index: 25;
    display: grid;
    gap: var(--_space-2);
    width: min(26rem, calc(100vw - 2rem));
  }
  .notice {
    display: flex;
    align-items: start;
    gap: var(--_space-3);
    padding: var(--_space-2) var(--_space-2) var(--_space-2) var(--_space-4);
    border: 1px solid var(--_border);
    border-inline-start: 4px solid var(--_accent);
    border-radius: var(--_radius-small);
    background: var(--_surface);
    box-shadow: var(--_shadow);
    overflow-wrap: anywhere;
  }
  .notice.error {
    border-inline-start-color: var(--_danger);
  }
  .notice p {
    flex: 1;
    margin: 0;
    padding: var(--_space-2) 0;
  }

  @media (max-width: 54rem) {
    :host {
      grid-template:
        "brand" auto
        "main" 1fr
        "steps" auto / minmax(0, 1fr);
    }
    header {
      height: 3.5rem;
      gap: var(--_space-2);
      padding: 0 var(--_space-3) 0 var(--_space-4);
    }
    nav {
      position: sticky;
      inset: auto 0 0;
      z-index: 20;
      height: auto;
      padding: 0.25rem max(0.25rem, env(safe-area-inset-left)) calc(0.25rem + env(safe-area-inset-bottom));
      border: 0;
      border-top: 1px solid var(--_border);
      overflow: visible;
    }
    ol {
      grid-template-columns: repeat(6, minmax(0, 1fr));
      gap: 0;
    }
    .step {
      flex-direction: column;
      align-items: center;
      justify-content: center;
      gap: 0.05rem;
      min-height: 3.25rem;
      padding: 0.2rem 0;
    }
    .badge {
      width: 1.75rem;
      height: 1.75rem;
    }
    .title {
      font-size: 0.6875rem;
      letter-spacing: -0.02em;
    }
    .status,
    studio-device-card {
      display: none;
    }
    main {
      padding-block: var(--_space-5);
    }
    .notices {
      right: 1rem;
      bottom: 4.75rem;
    }
  }
  @media (max-width: 30rem) {
    .brand span {
      display: none;
    }
  }
`;
