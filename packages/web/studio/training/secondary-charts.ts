/** Which charts of a run are not shown at first. */

/** Of interest only when something looks wrong. */
export const SECONDARY: ReadonlySet<string> = new Set([
  "Cut short",
  "Groups without spread",
  "Explained variance",
  "Token accuracy",
  "Gradient norm",
  "Learning rate",
]);
