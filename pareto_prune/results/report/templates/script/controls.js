/** The buttons and boxes of the page: axes, scales, all trials, dimensions, theme, print. */

import { $, el } from "./elements.js";
import { changed, PAGE_ROWS, state } from "./state.js";
import { canTurn, costs, metric, V } from "./study.js";

export function controls(redraw) {
  const option = (value, text, on) => el("option", { value, selected: on }, text);
  $("across").append(...costs.map((i) => option(i, V.objectives[i].label, i === state.x)));
  $("colour").append(...costs.map((i) => option(i, V.objectives[i].label, i === state.colour)), option("", "parameters", state.colour == null));
  $("across").addEventListener("change", (e) => { state.x = +e.target.value; changed(); });
  $("colour").addEventListener("change", (e) => { state.colour = e.target.value === "" ? null : +e.target.value; changed(); });
  $("relative").addEventListener("change", (e) => { state.relative = e.target.checked; changed(); });
  $("every").addEventListener("change", (e) => { state.every = e.target.checked; state.rows = PAGE_ROWS; changed(); });
  $("log").addEventListener("change", (e) => { state.log = e.target.checked; changed(); });
  $("whole").addEventListener("change", (e) => { state.whole = e.target.checked; changed(); });
  $("whole").parentElement.hidden = V.floor == null || ![...V.points, ...V.references].some((p) => p.values[metric] < V.floor);
  $("relative").disabled = !V.dense;
  for (const three of [false, true]) $(three ? "tab-3d" : "tab-2d").addEventListener("click", () => turn(three));
  document.querySelector(".tabs").addEventListener("keydown", (e) => {
    if (!["ArrowLeft", "ArrowRight"].includes(e.key) || !canTurn()) return;
    turn(!state.three);
    $(state.three ? "tab-3d" : "tab-2d").focus();
  });
  document.querySelector(".tabs").hidden = !canTurn();
  $("theme").addEventListener("click", () => {
    state.theme = { light: "dark", dark: null }[state.theme] === undefined ? "light" : { light: "dark", dark: null }[state.theme];
    redraw();
  });
  $("print").addEventListener("click", () => print());
}

function turn(three) {
  state.three = three;
  tabs();
  changed();
}

export function tabs() {
  for (const [id, on] of [["tab-2d", !state.three], ["tab-3d", state.three]]) {
    $(id).setAttribute("aria-selected", String(on));
    $(id).tabIndex = on ? 0 : -1;
  }
}
