/** The table of points: it sorts by any column, and a row chooses its trial. */

import { $, el } from "./elements.js";
import { denseFits, visible } from "./filters.js";
import { count, written } from "./quantities.js";
import { choose, PAGE_ROWS, state } from "./state.js";
import { better, isDense, metric, names, recommended, V } from "./study.js";
import { againText, beside, depth, madeBy, stateText, valueText } from "./words.js";

const COLUMNS = [
  { title: "trial", key: (p) => p.number, cell: pickCell },
  { title: "made by", text: true, key: madeBy, cell: (p) => el("div", {}, madeBy(p), p.again ? el("div", { class: "again" }, againText(p)) : "") },
  ...names.map((_, i) => ({
    title: V.objectives[i].label + (V.objectives[i].estimated ? " (est.)" : ""), key: (p) => p.values[i], down: better(i) > 0,
    cell: (p) => el("div", {}, valueCell(p, i), p.again ? el("div", { class: "again" }, valueCell(p.again, i)) : ""),
  })),
  { title: "parameters", key: (p) => p.parameters ?? Infinity, cell: (p) => count(p.parameters) },
  { title: "layers", key: (p) => (p.layers ? depth(p) : 0), cell: (p) => (p.layers ? String(depth(p)) : "–") },
  { title: "state", text: true, key: (p) => p.state, cell: (p) => stateText(p) },
];

function valueCell(p, i) {
  return el("span", { title: valueText(p, i) }, written(i, p.values[i]), " ", el("span", { class: "aside" }, beside(i, p.values[i])));
}

function pickCell(p) {
  const label = p.number === recommended ? `${p.number} ★` : String(p.number);
  return el("button", {
    type: "button", class: "pick", "aria-pressed": String(p.number === state.chosen),
    "aria-label": `Select trial ${p.number}${p.number === recommended ? ", recommended" : ""}`, "data-pick": p.number,
  }, label);
}

function sorted(points) {
  const column = state.sort ?? 2 + metric;
  const down = state.sort == null ? true : state.down;
  const key = COLUMNS[column].key;
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return [...points].sort((a, b) => (down ? -1 : 1) * order(key(a), key(b)) || a.number - b.number);
}

$("more").addEventListener("click", () => { state.rows += PAGE_ROWS; table(); });

export function table() {
  const shown = sorted(visible().filter((p) => !isDense(p)));
  const focused = document.activeElement?.dataset ?? {};
  const head = el("thead", {}, el("tr", {}, ...COLUMNS.map(headCell)));
  const body = el("tbody");
  if (V.dense && denseFits()) body.append(denseRow());
  for (const p of shown.slice(0, state.rows)) body.append(row(p));
  if (!visible().length) body.append(el("tr", {}, el("td", { colspan: COLUMNS.length, class: "text dim" }, emptyText())));
  $("table").replaceChildren(el("caption", { class: "skip" }, "Points of the front"), head, body);
  $("more").hidden = shown.length <= state.rows;
  $("more").textContent = `Show more (${Math.max(0, shown.length - state.rows)} left)`;
  if (focused.pick) $("table").querySelector(`[data-pick="${focused.pick}"]`)?.focus();
  if (focused.column) $("table").querySelector(`[data-column="${focused.column}"]`)?.focus();
}

function emptyText() {
  if (V.points.length && state.bounds.size) return "No point keeps these budgets.";
  if (V.points.length) return "No trial is on the front: none is feasible and better than the dense model. Tick “all trials” to see them.";
  return "No trial has finished yet.";
}

function headCell(column, k) {
  const on = state.sort === k || (state.sort == null && k === 2 + metric);
  const down = state.sort == null ? true : state.down;
  return el("th", { scope: "col", class: column.text ? "text" : null, "aria-sort": on ? (down ? "descending" : "ascending") : "none" },
    el("button", {
      type: "button", "data-column": k,
      on: { click: () => { state.down = on ? !down : Boolean(column.down); state.sort = k; table(); } },
    }, column.title + (on ? (down ? " ↓" : " ↑") : "")));
}

function row(p) {
  const node = el("tr", {
    class: [p.number === state.chosen ? "chosen" : "", p.front ? "" : "off"].join(" ").trim() || null, "data-trial": p.number,
    on: { click: () => choose(p.number) },
  });
  for (const column of COLUMNS) node.append(el("td", { class: column.text ? "text" : null }, column.cell(p)));
  return node;
}

function denseRow() {
  const cells = [V.dense.trial == null ? "–" : String(V.dense.trial), "dense model", ...names.map((_, i) => written(i, V.dense.values[i])),
    count(V.dense.parameters), V.dense.layers ? String(V.dense.layers.length) : "–", "reference"];
  return el("tr", { class: "dense" }, ...cells.map((text, k) => el("td", { class: COLUMNS[k].text ? "text" : null }, text)));
}
