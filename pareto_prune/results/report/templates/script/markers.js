/** The markers of the front's plots: symbols, colours, error bars and the text on hover. */

import { onAxis, ticks } from "./axes.js";
import { css } from "./elements.js";
import { count, digits, written } from "./quantities.js";
import { colourTitle, ranges, shade } from "./shades.js";
import { narrow } from "./sheets.js";
import { state } from "./state.js";
import { anyEstimate, metric, names, V } from "./study.js";
import { colours } from "./theme.js";
import { againText, esc, valueText } from "./words.js";

export const MOST_OTHERS = 1500;

export function hover(point, title) {
  const lines = [`<b>${esc(title)}</b>`];
  for (let i = 0; i < names.length; i++) lines.push(`${V.objectives[i].label} ${esc(valueText(point, i))}`);
  if (point.again) lines.push(`${againText(point)}: ${names.map((_, i) => esc(written(i, point.again.values[i]))).join(", ")}`);
  if (point.parameters) lines.push(`${count(point.parameters)} parameters`);
  if (point.layers) {
    lines.push(...wrapped("heads", point.layers.map((l) => l[0])), ...wrapped("neurons", point.layers.map((l) => l[1])));
    if (V.dense && point.hidden && point.hidden < V.dense.hidden) lines.push(`${point.hidden} of ${V.dense.hidden} hidden channels`);
  }
  if (point.reason) lines.push(esc(point.reason.slice(0, 90)));
  return lines.join("<br>");
}

function wrapped(label, numbers) {
  const lines = [];
  for (let k = 0; k < numbers.length; k += 8) lines.push(`${k ? "   " : `${label}: `}${numbers.slice(k, k + 8).join(" ")}`);
  return lines;
}

export const hollow = (symbol) => (anyEstimate ? `${symbol}-open` : symbol);
const symbolOf = (p) => hollow(p.starter ? "square" : "circle");

export function thinned(points) {
  const stride = Math.ceil(points.length / MOST_OTHERS);
  return points.filter((_, k) => k % stride === 0);
}

export function marker(points, size) {
  const [low, high] = ranges();
  const bar = narrow()
    ? { orientation: "h", y: -0.2, yanchor: "top", thickness: 10, len: 1, title: { text: colourTitle(), side: "bottom", font: { size: 12 } } }
    : { thickness: 12, len: 0.9, title: { text: colourTitle(), side: "right" } };
  return {
    size, symbol: points.map(symbolOf), color: points.map(shade), colorscale: colours(),
    cmin: low, cmax: high > low ? high : low + 1e-9, showscale: points.length > 0 && high > low,
    line: { width: anyEstimate ? 2.5 : 1, color: anyEstimate ? undefined : css("--page") },
    colorbar: {
      outlinewidth: 0, tickfont: { color: css("--dim") }, tickvals: ticks(low, high).map(Math.log10),
      ticktext: ticks(low, high).map((v) => digits(v, 2)), ...bar,
    },
  };
}

function errors(points, i, colour) {
  const upper = points.map((p) => onAxis(i, p.high[i]) - onAxis(i, p.values[i]));
  const lower = points.map((p) => onAxis(i, p.values[i]) - onAxis(i, p.low[i]));
  return { type: "data", symmetric: false, array: upper, arrayminus: lower, thickness: 1, width: 0, color: colour };
}

export const bars = (points) => ({
  error_x: errors(points, state.x, css("--other")), error_y: errors(points, metric, css("--other")),
});
