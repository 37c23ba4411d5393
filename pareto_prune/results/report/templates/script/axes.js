/** The axes of the plots: unit, title and the place of a value. */

import { prefixOf } from "./quantities.js";
import { state } from "./state.js";
import { metric, names, V } from "./study.js";
import { esc } from "./words.js";

function share(i, value) {
  const dense = V.dense && V.dense.values[i];
  return state.relative && dense && i !== metric ? value / dense : value;
}

const greatest = names.map((_, i) =>
  V.points.reduce((most, p) => Math.max(most, p.values[i]), (V.dense && V.dense.values[i]) || 0));

/** The factor and unit in which an axis shows an objective. */
function axisUnit(i) {
  const o = V.objectives[i];
  const unit = V.units[o.unit];
  if (i !== metric && state.relative && V.dense && V.dense.values[i]) return [1, "× dense"];
  if (unit.factor !== 1) return [unit.factor, unit.symbol];
  if (o.unit === "count") return greatest[i] > 1e6 ? [1e-6, "millions"] : [1, ""];
  const [size, prefix] = prefixOf(unit, greatest[i]);
  return [1 / size, prefix + o.unit];
}

/** Whether a point lost so much that it stands at the edge of the plot, as an arrow. */
export const isBelow = (p) => !state.whole && V.floor != null && p.values[metric] < V.floor;
const within = (i, value) => (i === metric && !state.whole && V.floor != null ? Math.max(V.floor, value) : value);

export const onAxis = (i, value) => (value == null ? null : share(i, within(i, value)) * axisUnit(i)[0]);

/** Costs stand on a logarithmic axis, unless the reader has it otherwise. */
export const isLog = (i) => state.log && i !== metric && V.points.every((p) => p.values[i] > 0);
/** Where a value lies on its axis: what Plotly takes for a place beside one. */
export const place = (i, value) => (isLog(i) ? Math.log10(onAxis(i, value)) : onAxis(i, value));

export function axisTitle(i) {
  const o = V.objectives[i];
  const unit = axisUnit(i)[1];
  return esc(`${o.label}${unit ? `, ${unit}` : ""}${o.estimated ? " (est.)" : ""}`);
}

/** Round values of a logarithmic scale within its ends. */
export function ticks(low, high) {
  const found = [];
  for (const steps of [[1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]]) {
    found.length = 0;
    for (let k = Math.floor(low); k <= high; k++) for (const m of steps) found.push(m * 10 ** k);
    const within = found.filter((v) => Math.log10(v) >= low - 1e-9 && Math.log10(v) <= high + 1e-9);
    if (within.length >= 3) return within;
  }
  return [10 ** low, 10 ** high];
}
