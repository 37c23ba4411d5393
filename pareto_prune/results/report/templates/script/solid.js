/** The front in three dimensions: the metric over two costs. */

import { axisTitle, onAxis } from "./axes.js";
import { css } from "./elements.js";
import { denseFits, fits } from "./filters.js";
import { hollow, hover, marker, thinned } from "./markers.js";
import { axis, narrow, PAPER, paper, sheet } from "./sheets.js";
import { state } from "./state.js";
import { byNumber, costs, isDense, metric, V } from "./study.js";
import { esc, pointTitle } from "./words.js";

const axes3 = () => [state.x, state.colour != null && state.colour !== state.x && state.colour !== metric ? state.colour : costs.find((i) => i !== state.x)];

export function solidTraces(shown) {
  const [a, b] = axes3();
  const members = shown.filter((p) => p.front && !isDense(p));
  const others = thinned(shown.filter((p) => !p.front));
  const place = (points) => ({
    x: points.map((p) => onAxis(a, p.values[a])), y: points.map((p) => onAxis(b, p.values[b])), z: points.map((p) => onAxis(metric, p.values[metric])),
  });
  const base = { type: "scatter3d", mode: "markers", hovertemplate: "%{text}<extra></extra>", showlegend: false };
  const texts = (points) => ({ text: points.map((p) => hover(p, pointTitle(p))), customdata: points.map((p) => p.number) });
  const traces = [
    { ...base, ...place(others), ...texts(others), marker: { size: 3, color: css("--other"), symbol: hollow("circle") }, opacity: 0.6 },
    { ...base, ...place(members), ...texts(members), marker: { ...marker(members, 8), line: { width: 1 } } },
  ];
  if (members.length <= 200) traces.push(stems(members.concat(denseFits() ? [V.dense] : []), place));
  const named = V.references.filter((r) => fits(r)).map((r) => [r, r.name]).concat(denseFits() ? [[V.dense, "dense"]] : []);
  for (const [p, name] of named) traces.push({
    ...base, ...place([p]), mode: "markers+text", text: [esc(name)], hovertext: [hover(p, name)], hovertemplate: "%{hovertext}<extra></extra>",
    textfont: { color: css("--ink"), size: 12 }, marker: { size: 7, color: css("--ink"), symbol: hollow("diamond") },
  });
  const chosen = byNumber.get(state.chosen);
  if (chosen && fits(chosen)) traces.push({
    ...base, ...place([chosen]), hoverinfo: "skip", hovertemplate: null, marker: { size: 13, color: css("--mark"), symbol: "circle-open", line: { width: 3 } },
  });
  return traces;
}

/** A thin line from each point to the floor, so that its place can be read. */
function stems(points, place) {
  const { x, y, z } = place(points);
  const floor = Math.min(...z);
  const broken = (values, foot) => values.flatMap((v) => [v, foot ?? v, null]);
  return {
    type: "scatter3d", mode: "lines", x: broken(x), y: broken(y), z: broken(z, floor),
    line: { color: css("--other"), width: 1 }, hoverinfo: "skip", showlegend: false,
  };
}

export function solidLayout() {
  const [a, b] = axes3();
  const solid = (i) => ({ ...axis(i), title: { text: axisTitle(i) }, backgroundcolor: "rgba(0,0,0,0)", color: css("--ink"), automargin: undefined });
  return sheet({
    ...paper(PAPER), margin: { l: 0, r: 0, t: 0, b: narrow() ? 60 : 0 }, dragmode: "turntable", uirevision: "solid",
    scene: { xaxis: solid(a), yaxis: solid(b), zaxis: solid(metric), camera: { eye: { x: 1.35, y: -1.75, z: 0.55 }, center: { x: 0, y: 0, z: -0.12 } }, aspectmode: "cube" },
  });
}
