/** The card that a chart stands on: its frame, its title and what it shows in a sentence. */
import { css } from "lit";

export const figureCard = css`
  figure {
    margin: 0;
    padding: var(--_space-4);
    border: 1px solid var(--_border);
    border-radius: var(--_radius);
    background: var(--_surface);
  }
  h3 {
    margin: 0;
    font-size: 0.9375rem;
    font-weight: 650;
  }
  figcaption p {
    margin: 0.125rem 0 0;
    font-size: var(--_size-small);
    line-height: 1.4;
    color: var(--_text-muted);
  }
`;
