/** The gallery of the models of the front; a picture is a button that chooses its trial. */

import { picture } from "./architecture.js";
import { $, el } from "./elements.js";
import { written } from "./quantities.js";
import { choose, state } from "./state.js";
import { byNumber, front, names, recommended, V } from "./study.js";
import { madeBy } from "./words.js";

export function pictures() {
  const wanted = [recommended, V.knee, ...front.map((p) => p.number)];
  const numbers = [...new Set(wanted)].filter((n) => n != null && byNumber.get(n)?.layers).slice(0, 12);
  if (state.chosen != null && byNumber.get(state.chosen)?.layers && !numbers.includes(state.chosen)) numbers.unshift(state.chosen);
  $("shapes").hidden = !numbers.length;
  const keep = document.activeElement?.dataset?.picture;
  $("pictures").replaceChildren(...numbers.map((n) => pictureButton(byNumber.get(n))));
  if (keep) $("pictures").querySelector(`[data-picture="${keep}"]`)?.focus();
}

function pictureButton(point) {
  const role = point.number === recommended ? " ★" : point.number === V.knee ? " (knee)" : "";
  const text = names.map((_, i) => written(i, point.values[i])).join(" · ");
  return el("button", {
    type: "button", class: "picture", "aria-pressed": String(point.number === state.chosen), "data-picture": point.number,
    on: { click: () => choose(point.number) },
  }, el("strong", {}, `Trial ${point.number}${role}`), el("span", { class: "dim" }, madeBy(point)), picture(point, 220), el("span", { class: "dim" }, text));
}
