/** What a training report says, as data; `renderReport` turns it into one self-contained page. */

/** A headline number with its unit or interval. */
export interface Figure {
  readonly label: string;
  readonly value: string;
  readonly note?: string;
}

/** One line of a chart; points are (x, y), and points whose y is not finite are left out. */
export interface Series {
  readonly name: string;
  /** A line through the points (default), or a dot at each. */
  readonly mark?: "line" | "dots";
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly title: string;
  /** What the curve means, in a sentence. */
  readonly description?: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** Draws an exponentially smoothed line over the raw one. Default true where there are more than 12 points. */
  readonly smooth?: boolean;
  /** Both axes by orders of magnitude; points that are not above 0 are left out. Default false. */
  readonly logarithmic?: boolean;
}

/** A table of text; numbers are aligned right. */
export interface Table {
  readonly title: string;
  readonly description?: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** A duration and the parts it has; what the parts leave over is its own. */
export interface FlameFrame {
  readonly name: string;
  readonly value: number;
  readonly children?: readonly FlameFrame[];
}

/** A picture of nested durations, as wide as they took long. */
export interface Flame {
  readonly title: string;
  readonly description: string;
  readonly unit: string;
  readonly root: FlameFrame;
}

export interface ReportPage {
  readonly title: string;
  readonly lead: string;
  readonly figures: readonly Figure[];
  readonly charts: readonly Chart[];
  /** Shown under the curves, as wide as the page. */
  readonly flames?: readonly Flame[];
  /** Samples, configuration, environment: shown in this order after the charts. */
  readonly tables: readonly Table[];
}
