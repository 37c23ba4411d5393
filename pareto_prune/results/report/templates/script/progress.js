/** The hypervolume over trials and over time. */

import { $, css } from "./elements.js";
import { plural } from "./quantities.js";
import { PAPER, paper, plain, sheet } from "./sheets.js";
import { V } from "./study.js";

export function progress() {
  const steps = V.history;
  $("progress").hidden = !steps.length;
  if (!steps.length) return;
  const last = steps[steps.length - 1];
  $("progress-note").textContent = `${last[2].toFixed(3)} after ${plural(last[0], "trial")} and ${V.searched}, the making of the dense model included; long pauses are left out.`;
  const hours = last[1] > 7200;
  const unit = hours ? 3600 : 60;
  climb("over-trials", steps.map((s) => s[0]), "finished trials");
  climb("over-time", steps.map((s) => s[1] / unit), hours ? "hours" : "minutes");
}

function climb(id, x, title) {
  const y = V.history.map((s) => s[2]);
  const axis = { gridcolor: css("--grid"), zeroline: false, tickfont: { color: css("--dim") }, automargin: true, rangemode: "tozero" };
  Plotly.react($(id), [{
    type: "scatter", mode: "lines", x: [0, ...x], y: [0, ...y], line: { shape: "hv", color: css("--accent"), width: 2 },
    hovertemplate: `%{x:.3~g} ${title}: %{y:.3f}<extra></extra>`,
  }], sheet({ ...paper(PAPER / 2 - 10), margin: { l: 48, r: 10, t: 8, b: 40 }, xaxis: { ...axis, title: { text: title } }, yaxis: { ...axis, title: { text: "hypervolume" } }, showlegend: false, dragmode: false }), plain);
}
