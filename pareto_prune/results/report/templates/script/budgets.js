/** The sliders that set a budget for each objective. */

import { $, el } from "./elements.js";
import { written } from "./quantities.js";
import { changed, state } from "./state.js";
import { better, costs, metric, V } from "./study.js";
import { beside, capital } from "./words.js";

const followers = [];
export const follow = () => followers.forEach((tell) => tell());

export function sliders() {
  const form = $("budget");
  for (const i of [...costs, metric]) {
    const kept = V.points.filter((p) => p.state !== "too low");
    const values = kept.map((p) => p.values[i]).concat(V.dense ? [V.dense.values[i]] : []);
    const known = values.filter((v) => v != null);
    if (!known.length) continue;
    form.append(slider(i, Math.min(...known), Math.max(...known)));
  }
  form.append(el("button", { type: "reset" }, "No budgets"));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => { state.bounds.clear(); setTimeout(() => { follow(); changed(); }); });
}

function slider(i, low, high) {
  const o = V.objectives[i];
  const wanted = better(i) < 0 ? "at most" : "at least";
  const log = i !== metric && low > 0;
  const at = (step) => {
    const t = step / 200;
    return log ? low * (high / low) ** t : low + t * (high - low);
  };
  const open = better(i) < 0 ? 200 : 0;
  const out = el("output", {}, "any");
  const input = el("input", {
    type: "range", min: 0, max: 200, value: open, "data-objective": o.name,
    "aria-label": `${o.label} ${wanted}`, "aria-valuetext": "any",
  });
  const place = (bound) => {
    const t = log ? Math.log(bound / low) / Math.log(high / low) : (bound - low) / (high - low);
    return Math.round(200 * Math.max(0, Math.min(1, t || 0)));
  };
  const tell = () => {
    const bound = state.bounds.get(i);
    const ratio = bound == null || i === metric || !V.dense ? "" : ` (${beside(i, bound)})`;
    const text = bound == null ? "any" : `${written(i, bound)}${ratio}`;
    out.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  input.addEventListener("input", () => {
    if (+input.value === open) state.bounds.delete(i);
    else state.bounds.set(i, at(+input.value));
    tell();
    changed();
  });
  followers.push(() => {
    input.value = state.bounds.has(i) ? place(state.bounds.get(i)) : open;
    tell();
  });
  return el("label", { class: "slider" }, el("span", {}, `${capital(o.label)} ${wanted}`), out, input);
}
