/** Parallel coordinates: every dimension of a point side by side, one line a point. */

import { $, css, svg } from "./elements.js";
import { denseFits, visible } from "./filters.js";
import { count, digits, plural, written } from "./quantities.js";
import { ranges, shade } from "./shades.js";
import { choose, state } from "./state.js";
import { better, metric, names, V } from "./study.js";
import { mixed } from "./theme.js";
import { depth, heads, neurons, pointTitle } from "./words.js";

const MOST_LINES = 600;

function dimensions() {
  const found = names.map((_, i) => ({
    title: V.objectives[i].label + (V.objectives[i].estimated ? " (est.)" : ""), of: (p) => p.values[i],
    text: (v) => written(i, v), flip: better(i) < 0, log: i !== metric,
  }));
  const whole = V.points.length && V.points.every((p) => p.layers);
  if (V.points.some((p) => p.parameters)) found.push({ title: "parameters", of: (p) => p.parameters, text: count, flip: true });
  if (whole) found.push(
    { title: "layers", of: depth, text: String }, { title: "heads", of: heads, text: String }, { title: "neurons", of: neurons, text: count });
  if (V.points.some((p) => p.target != null)) found.push({ title: "cost target", of: (p) => p.target, text: (v) => digits(v, 2) });
  const kinds = [...new Set(V.points.map((p) => p.strategy).filter(Boolean))].sort();
  if (kinds.length > 1) found.unshift({ title: "strategy", of: (p) => kinds.indexOf(p.strategy), text: (v) => kinds[v] ?? "", kinds });
  return found;
}

export function lines() {
  $("parallel").hidden = !V.points.length;
  if (!V.points.length) return;
  const shown = visible().sort((a, b) => a.front - b.front).slice(-MOST_LINES);
  const wide = 1100, tall = 330, top = 44, bottom = 26, left = 60, right = 50;
  const axes = dimensions();
  const xs = axes.map((_, k) => left + (k * (wide - left - right)) / Math.max(1, axes.length - 1));
  const places = axes.map((a) => placing(a, top, tall - bottom));
  const node = svg("svg", { viewBox: `0 0 ${wide} ${tall}`, role: "img" });
  node.append(svg("title", {}, `${plural(shown.length, "point")} over ${axes.map((a) => a.title).join(", ")}; the table holds the values.`));
  const path = (p) => axes.map((a, k) => [xs[k], places[k](a.of(p))]).filter(([, y]) => y != null && Number.isFinite(y))
    .map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const [low, high] = ranges();
  for (const p of shown) {
    const colour = p.front ? mixed((shade(p) - low) / (high - low || 1)) : null;
    node.append(svg("path", {
      d: path(p), class: [p.front ? "" : "off", p.number === state.chosen ? "chosen" : ""].join(" ").trim() || null,
      stroke: p.number === state.chosen ? css("--mark") : colour, on: { click: () => choose(p.number) },
    }, svg("title", {}, pointTitle(p))));
  }
  if (denseFits()) node.append(svg("path", { d: path({ ...V.dense, strategy: null }), class: "dense" }, svg("title", {}, "dense model")));
  axes.forEach((a, k) => node.append(...axisMarks(a, xs[k], places[k], top, tall - bottom)));
  $("lines").replaceChildren(node);
}

function placing(a, top, bottom) {
  const values = V.points.map(a.of).concat(a.kinds || !V.dense ? [] : [a.of({ target: null, layers: [], ...V.dense })]).filter((v) => v != null && Number.isFinite(v));
  const low = Math.min(...values), high = Math.max(...values);
  a.ends = [low, high];
  const log = a.log && low > 0;
  return (v) => {
    if (v == null || (a.kinds && v < 0)) return null;
    let t = high > low ? (log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low)) : 0.5;
    if (a.flip) t = 1 - t;
    return bottom - t * (bottom - top);
  };
}

function axisMarks(a, x, place, top, bottom) {
  const marks = [svg("line", { x1: x, x2: x, y1: top, y2: bottom }), svg("text", { x, y: 14, "text-anchor": "middle", "font-weight": 600 }, a.title)];
  const values = a.kinds ? a.kinds.map((_, k) => k) : [...new Set(a.ends)];
  for (const v of values) {
    const y = place(v);
    const edge = !a.kinds && y > (top + bottom) / 2 ? 16 : -7;
    marks.push(svg("text", { x, y: y + (a.kinds ? -6 : edge), "text-anchor": "middle", style: "paint-order:stroke;stroke:var(--page);stroke-width:4px" }, a.text(v)));
  }
  return marks;
}
