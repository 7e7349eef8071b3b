/** `<studio-frontier>`: reward against KL, a dot for every step of every run, and a line through those of a run that no other beats. */
import { type Chart, frontierOfLog, rewardKlFrontier, type Series } from "@trimtab/core";
import { css, html } from "lit";
import { customElement, property } from "lit/decorators.js";
import { elementTokens } from "../../src/feedback/theme";
import type { StudioRun } from "../store";
import { FramedElement } from "./animation-frame";
import "./chart";

@customElement("studio-frontier")
export class StudioFrontier extends FramedElement {
  static override styles = [
    elementTokens,
    css`
      :host {
        display: block;
      }
    `,
  ];

  /** Those without reward or KL are left out. */
  @property({ attribute: false }) runs: readonly Pick<StudioRun, "name" | "history">[] = [];

  /** Colour of each run; default: in order. */
  @property({ attribute: false }) colours: readonly number[] | undefined;

  override render() {
    const series: Series[] = [];
    const colours: number[] = [];
    this.runs.forEach(({ name, history }, i) => {
      const colour = this.colours?.[i] ?? i;
      const points = frontierOfLog(history.map(({ step, metrics }) => ({ ...metrics, step })));
      if (points.length === 0) return;
      const xy = (list: typeof points) => list.map(({ kl, reward }): [number, number] => [kl, reward]);
      series.push(
        { name: `${name}, steps`, mark: "dots", points: xy(points) },
        { name: `${name}, best`, points: xy(rewardKlFrontier(points)) },
      );
      colours.push(colour, colour);
    });
    const chart: Chart = {
      title: "Reward and KL",
      description:
        "How much reward is bought with how much distance. Up and to the left is better; the line joins the steps that no other step of the run beats in both.",
      xLabel: "KL, nats per completion",
      yLabel: "reward",
      smooth: false,
      series,
    };
    return html`<studio-chart .chart=${chart} .colours=${colours} .height=${300}></studio-chart>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-frontier": StudioFrontier;
  }
}
