/** What made the front: by strategy, by importance, and the starters. */

import { $, el } from "./elements.js";
import { times, written } from "./quantities.js";
import { metric, V } from "./study.js";

export function statistics() {
  $("strategies").append(statTable("strategy", V.strategies));
  $("importances").append(statTable("importance", V.importances));
  $("statistics").hidden = !V.strategies.length;
  const made = V.starters.filter((s) => s.name !== "dense");
  if (made.length) $("starters").append(el("p", { class: "dim" }, "Starters: " + made.map((s) =>
    `${s.name} (trial ${s.number}, ${s.front ? "on the front" : s.state === "complete" ? "dominated" : s.state})`).join(", ") + "."));
}

function statTable(title, rows) {
  if (!rows.length) return "";
  const most = Math.max(1, ...rows.map((r) => r.front));
  const head = [title, "front", "trials", `best ${V.objectives[metric].label}`, "least cost", "stopped", "failed"];
  const line = (r) => el("tr", {}, el("td", { class: "text" }, r.name),
    el("td", {}, el("span", { class: "share", style: `width:${(4 * r.front) / most}rem`, "aria-hidden": "true" }), ` ${r.front}`),
    ...[r.trials, written(metric, r.best), r.cheapest == null ? "–" : times(r.cheapest), r.stopped || "–", r.failed || "–"].map((t) => el("td", {}, String(t))));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `By ${title}` },
    el("table", {}, el("thead", {}, el("tr", {}, ...head.map((t) => el("th", { scope: "col" }, t)))), el("tbody", {}, ...rows.map(line))));
}
