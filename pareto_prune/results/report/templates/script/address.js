/** Budgets, choice and view in the address of the page, so that a view can be linked. */

import { state } from "./state.js";
import { better, byNumber, canTurn, firstChoice, names } from "./study.js";

export function readAddress() {
  let text = location.hash.slice(1);
  try { text = decodeURIComponent(text); } catch { return; }
  state.bounds.clear();
  for (const part of text.split("&")) {
    const bound = /^(\w+)(<=|>=)([-+.\deE]+)$/.exec(part);
    const pair = /^(\w+)=(.*)$/.exec(part);
    if (bound) setBound(bound[1], bound[2], Number(bound[3]));
    else if (pair) setPlain(pair[1], pair[2]);
  }
}

function setBound(name, sign, value) {
  const i = names.indexOf(name);
  if (i >= 0 && Number.isFinite(value) && (sign === ">=") === (better(i) > 0)) state.bounds.set(i, value);
}

function setPlain(key, value) {
  if (key === "trial" && byNumber.has(Number(value))) state.chosen = Number(value);
  if (key === "view") state.three = value === "3d" && canTurn();
  if (key === "theme" && ["light", "dark"].includes(value)) state.theme = value;
  if (key === "linear") state.log = value !== "1";
  if (key === "whole") state.whole = value === "1";
  if (key === "all") state.every = value === "1";
}

export function writeAddress() {
  const parts = [...state.bounds].map(([i, bound]) =>
    `${names[i]}${better(i) < 0 ? "<=" : ">="}${+bound.toPrecision(6)}`);
  if (state.chosen != null && state.chosen !== firstChoice()) parts.push(`trial=${state.chosen}`);
  if (state.three) parts.push("view=3d");
  if (!state.log) parts.push("linear=1");
  if (state.whole) parts.push("whole=1");
  if (state.every) parts.push("all=1");
  if (state.theme) parts.push(`theme=${state.theme}`);
  try { history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname); } catch { /* a page in a frame may not */ }
}
