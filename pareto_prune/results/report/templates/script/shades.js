/** The colour of a point: by an objective or by parameters, on a logarithmic scale. */

import { axisTitle, onAxis } from "./axes.js";
import { state } from "./state.js";
import { front, isDense } from "./study.js";

export const colourTitle = () => (state.colour == null ? "parameters, millions" : axisTitle(state.colour));
const colourOf = (p) => (state.colour == null ? (p.parameters ?? 0) / 1e6 : onAxis(state.colour, p.values[state.colour]));
/** Colours go by the logarithm: a cost halves as visibly at its low end as at its high end. */
export const shade = (p) => Math.log10(Math.max(colourOf(p), 1e-12));

export const ranges = () => {
  const values = front.filter((p) => !isDense(p)).map(shade).filter(Number.isFinite);
  return values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
};
