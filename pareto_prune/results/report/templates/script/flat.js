/** The front in two dimensions: the metric over one cost. */

import { isBelow, onAxis, place } from "./axes.js";
import { css } from "./elements.js";
import { denseFits, fits, visible } from "./filters.js";
import { labelPlaces, spanOf } from "./labels.js";
import { bars, hollow, hover, marker, thinned } from "./markers.js";
import { axis, narrow, PAPER, paper, sheet } from "./sheets.js";
import { state } from "./state.js";
import { better, byNumber, isDense, metric, V } from "./study.js";
import { esc, pointTitle } from "./words.js";

const MOST_BARS = 40;

/** The best metric at each cost, as the steps of the visible front. */
function frontLine(points) {
  const known = points.map((p) => [onAxis(state.x, p.values[state.x]), onAxis(metric, p.values[metric])]);
  const turn = -better(state.x);
  known.sort((a, b) => turn * (a[0] - b[0]) || b[1] - a[1]);
  let best = -Infinity;
  const kept = known.filter(([, y]) => (y > best ? ((best = y), true) : false));
  return {
    type: "scatter", mode: "lines", x: kept.map((k) => k[0]), y: kept.map((k) => k[1]),
    line: { shape: "hv", color: css("--dim"), width: 1.5 }, hoverinfo: "skip", showlegend: false,
  };
}

export function flatTraces(shown) {
  const others = thinned(shown.filter((p) => !p.front));
  const members = shown.filter((p) => p.front && !isDense(p));
  const x = (p) => onAxis(state.x, p.values[state.x]);
  const y = (p) => onAxis(metric, p.values[metric]);
  const base = { type: "scatter", hovertemplate: "%{text}<extra></extra>", showlegend: false };
  const faint = css("--other");
  const traces = [{
    ...base, mode: "markers", x: others.map(x), y: others.map(y), text: others.map((p) => hover(p, pointTitle(p))),
    customdata: others.map((p) => p.number), opacity: 0.7,
    marker: { size: 7, color: faint, symbol: others.map((p) => (isBelow(p) ? "triangle-down-open" : ({ stopped: "x-thin-open", infeasible: "diamond-open" })[p.state] ?? hollow("circle"))), line: { width: 1.5 } },
  }];
  const lined = denseFits() ? members.concat([V.dense]) : members;
  traces.push(frontLine(lined));
  traces.push({
    ...base, mode: "markers", x: members.map(x), y: members.map(y), text: members.map((p) => hover(p, pointTitle(p))),
    customdata: members.map((p) => p.number), marker: marker(members, 12),
    ...(members.length <= MOST_BARS ? bars(members) : {}),
  });
  traces.push(...namedTraces(base, x, y));
  const chosen = byNumber.get(state.chosen);
  if (chosen && fits(chosen)) traces.push({
    ...base, mode: "markers", x: [x(chosen)], y: [y(chosen)], ...bars([chosen]), hoverinfo: "skip", hovertemplate: null,
    marker: { size: 24, symbol: "circle-open", color: css("--mark"), line: { width: 2.5 } },
  });
  return traces;
}

/** The dense model and the named references that keep the budgets: each with its name and symbol. */
function named() {
  const found = V.references.filter((r) => r.values[state.x] != null && r.values[metric] != null && fits(r))
    .map((r) => [r, r.name, isBelow(r) ? "triangle-down" : "triangle-up"]);
  if (denseFits()) found.push([V.dense, "dense", "diamond"]);
  return found;
}

/** The names of the dense model and the references; those that find no room beside it, with a line. */
function names() {
  const known = named();
  const places = labelPlaces(known.map(([p, name]) => [place(state.x, p.values[state.x]), place(metric, p.values[metric]), name]));
  return known.map(([p, name], k) => ({
    x: place(state.x, p.values[state.x]), y: place(metric, p.values[metric]), text: esc(name), name: "label",
    ax: places[k].dx, ay: places[k].dy, xanchor: places[k].side, showarrow: true, arrowhead: 0, standoff: 8,
    arrowwidth: 1, arrowcolor: places[k].far ? css("--dim") : "rgba(0,0,0,0)", font: { color: css("--ink"), size: 12 },
  }));
}

/** Markers of the dense model and the references; the names of starters. */
function namedTraces(base, x, y) {
  const traces = named().map(([p, name, symbol]) => ({
    ...base, mode: "markers", x: [x(p)], y: [y(p)], hovertext: [hover(p, name === "dense" ? "dense model" : name)], hovertemplate: "%{hovertext}<extra></extra>",
    marker: { size: 13, symbol: hollow(symbol), color: css("--ink"), line: { width: 2 } },
  }));
  const starters = visible().filter((p) => p.front && p.starter && p.starter !== "dense");
  if (starters.length) traces.push({
    ...base, mode: "text", x: starters.map(x), y: starters.map(y), text: starters.map((p) => esc(p.starter)),
    textposition: "top left", textfont: { color: css("--dim"), size: 11 }, hoverinfo: "skip", hovertemplate: null,
  });
  return traces;
}

export function flatLayout() {
  return sheet({
    ...paper(PAPER), xaxis: axis(state.x, { range: spanOf(state.x) }), yaxis: axis(metric, { range: spanOf(metric) }), annotations: names(),
    margin: { l: 56, r: 12, t: 12, b: narrow() ? 110 : 48 }, uirevision: `${state.x}${state.relative}${state.log}${state.whole}${state.every}`,
  });
}
