/** The legend of the front's plot. */

import { $, el, svg } from "./elements.js";
import { anyEstimate, front, isDense, V } from "./study.js";

export function legend() {
  const mark = (shape, text) => el("span", {}, svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, shape), text);
  const outline = { fill: anyEstimate ? "none" : "currentColor", stroke: "currentColor", "stroke-width": 2 };
  const entries = [
    mark(svg("circle", { cx: 8, cy: 8, r: 5, ...outline }), "on the front"),
    mark(svg("path", { d: "M1 12h6V5h8", fill: "none", stroke: "currentColor", "stroke-width": 1.5 }), "best metric at each cost"),
    mark(svg("path", { d: "M8 2l6 6-6 6-6-6z", ...outline }), "dense model"),
  ];
  if (front.some((p) => p.starter && !isDense(p))) entries.push(mark(svg("rect", { x: 3, y: 3, width: 10, height: 10, ...outline }), "from a starter"));
  if (V.references.length) entries.push(mark(svg("path", { d: "M8 3l6 10H2z", ...outline }), "named reference"));
  if (V.points.some((p) => p.state === "stopped")) entries.push(mark(svg("path", { d: "M3 3l10 10M13 3L3 13", stroke: "currentColor", "stroke-width": 1.5 }), "stopped early"));
  if (V.below_floor) entries.push(mark(svg("path", { d: "M2 4h12l-6 9z", fill: "none", stroke: "currentColor", "stroke-width": 1.5 }), "below the edge: too much lost"));
  entries.push(mark(svg("circle", { cx: 8, cy: 8, r: 7, fill: "none", stroke: "var(--mark)", "stroke-width": 2 }), "selected"));
  entries.push(el("span", {}, "bars: 95 % intervals"));
  $("legend").append(...entries);
  const guessed = V.objectives.filter((o) => o.estimated).map((o) => o.label);
  $("estimates").textContent = guessed.length ? `${V.estimate.mark} and hollow markers: ${guessed.join(" and ")} is estimated, good to a factor of about ${V.estimate.factor} (×/÷).` : "";
}
