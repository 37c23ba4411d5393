/** The chosen trial: why it, what it costs, its picture, and the command that exports it. */

import { picture } from "./architecture.js";
import { $, el, page } from "./elements.js";
import { state } from "./state.js";
import { byNumber, names, recommended, V } from "./study.js";
import { capital, madeBy, shapeText, valueText } from "./words.js";

export function describe() {
  const point = byNumber.get(state.chosen);
  page.dataset.selected = point ? String(point.number) : "";
  $("choice").hidden = !point;
  if (!point) return;
  const isBest = point.number === recommended;
  $("choice-title").textContent = isBest ? `Recommended: trial ${point.number}` : `Trial ${point.number}`;
  $("choice-reason").textContent = capital(isBest ? `${V.recommended.reason}.` : standing(point));
  const explained = V.explained[point.number];
  $("choice-sentences").replaceChildren(...sentences(point, explained).map((text) => el("li", {}, text)));
  $("choice-shape").replaceChildren(point.layers ? picture(point, 320) : "");
  $("choice-caption").textContent = `Trial ${point.number}, ${madeBy(point)}: ${shapeText(point)}`;
  $("choice-export").replaceChildren(...takeHome(point));
}

function standing(point) {
  if (point.front) return point.number === V.knee ? "the knee of the front." : "on the front.";
  return point.reason ? `${point.state}: ${point.reason}` : "not on the front: another point is nowhere worse and somewhere better.";
}

function sentences(point, explained) {
  const said = explained ? explained.sentences : names.map((_, i) => `${capital(V.objectives[i].label)} ${valueText(point, i)}.`);
  return [...said, point.cold, point.rival, point.vocabulary].filter(Boolean);
}

function takeHome(point) {
  const study = /^[\w.-]+$/.test(V.study) ? V.study : `'${V.study.replace(/'/g, "'\\''")}'`;
  const lines = [`pareto-prune export ${study} ${point.number} --to model ${point.export ?? V.export}`];
  return lines.map((line) => {
    const button = el("button", { type: "button", "aria-label": `Copy: ${line}` }, "Copy");
    button.addEventListener("click", async () => {
      try { await navigator.clipboard.writeText(line); button.textContent = "Copied"; }
      catch { button.textContent = "Select it"; }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    return el("div", { class: "command" }, el("pre", {}, el("code", {}, line)), button);
  });
}
