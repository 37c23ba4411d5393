/** Which points keep the budgets that the reader has set. */

import { state } from "./state.js";
import { better, front, V } from "./study.js";

/** The bounds in use: the most of a cost, the least of the metric. */
export function fits(point) {
  for (const [i, bound] of state.bounds) {
    if (better(i) * (point.values[i] - bound) < -1e-12 * Math.abs(bound)) return false;
  }
  return true;
}

export const pool = () => (state.every ? V.points : front);
export const visible = () => pool().filter(fits);
export const denseFits = () => V.dense && V.dense.values.every((v) => v != null) && fits(V.dense);
