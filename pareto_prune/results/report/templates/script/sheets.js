/** What all plots share: the library's options, the sheet they are drawn on, its axes. */

import { axisTitle, isLog } from "./axes.js";
import { css, page } from "./elements.js";
import { state } from "./state.js";

/** Nothing leaves the page: the library's button that uploads a chart is off. */
const base = { displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "" };
export const plain = { ...base, displayModeBar: false };
export const full = {
  ...base,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  toImageButtonOptions: { filename: "pareto-front", scale: 2 },
};
export const narrow = () => innerWidth < 700;

export function axis(i, extra = {}) {
  return {
    title: { text: axisTitle(i), standoff: 8 }, gridcolor: css("--grid"), zeroline: false, linecolor: css("--line"),
    tickfont: { color: css("--dim") }, automargin: true, type: isLog(i) ? "log" : "linear", ...extra,
  };
}

/** A sheet of paper has its own width, which is not known before it is printed. */
export const PAPER = 690;
export const paper = (width) => (state.printing ? { width, autosize: false } : { autosize: true });

export const sheet = (extra) => ({
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--ink"), family: getComputedStyle(page).fontFamily, size: 13 },
  margin: { l: 56, r: 12, t: 12, b: 48 }, hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink"), family: getComputedStyle(page).fontFamily }, align: "left" },
  modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--dim"), activecolor: css("--accent") },
  hovermode: "closest", dragmode: narrow() ? false : "zoom", ...extra,
});
